import { grantsKernel } from '@xenolith/guest-kernels';
import { BadInputError } from '@xenolith/host-interface';
import { describe, expect, it } from 'vitest';
import type { DomainConfig } from './domain-config.js';
import { TestHost } from './testing.js';

/** Both roles in one host, to their end. */
async function exchange(options: string, config: Partial<DomainConfig> = {}) {
  const test = await TestHost.create();
  const before = test.counts();
  const granter = test.boot(grantsKernel, { cmdline: `grant 2${options}`, ...config });
  const mapper = test.boot(grantsKernel, { cmdline: `map 1${options}` });
  await test.host.run();
  return { granter, mapper, before, after: test.counts() };
}
const lines = (output: string): string[] => output.replaceAll('\r', '').trim().split('\n');

const GRANTER = [
  'set_version: 0',
  'setup_table: 0',
  'decrease_reservation: 1',
  'published: 3',
  'written: the mapper was here',
  'copied: by a grant copy',
  'in use: 0',
  'transfer: 14',
  'its page: 0',
  "given: a page of the mapper's",
  'grants: ok',
];
const MAPPER = [
  'connected: 0',
  'map: 0',
  'map by entry: 0',
  'map to write what is for reading: -1',
  'map what is not granted: -1',
  'read: for you to write to',
  'read: for you to read',
  'unmap: 0',
  'unmap by entry: 0',
  'unmap again: -4',
  'copy: 0',
  'copied: to read',
  'copy to what is for reading: -1',
  'copy beyond the page: -10',
  'copy back: 0',
  'transfer of a mapped page: -9',
  'transfer: 0',
  'grants: ok',
];

describe('two domains', () => {
  it.each(['', ' v2'])('grant, map, copy and transfer, with the option "%s"', async (options) => {
    const { after, before, granter, mapper } = await exchange(options);
    const isVersion2 = options !== '';
    expect(lines(granter.output).filter((line) => line !== 'get_status_frames: 0')).toEqual(GRANTER);
    expect(granter.output.includes('get_status_frames')).toBe(isVersion2);
    const parts = [
      'copy a part: 0',
      'copied: a part of a page',
      'copy beyond the part: -1',
      'map a part: -1',
    ];
    const expected = isVersion2 ? MAPPER.toSpliced(14, 0, ...parts) : MAPPER;
    expect(lines(mapper.output)).toEqual(expected);
    for (const { guest } of [granter, mapper]) expect(guest.result).toMatchObject({ reason: 'poweroff' });
    // The first domain of a host leaves the directories of all.
    expect({ ...after, nodes: 0 }).toEqual({ ...before, nodes: 0 });
  });

  it('do without version 2 where it is not allowed', async () => {
    const test = await TestHost.create();
    const granter = test.boot(grantsKernel, { cmdline: 'grant 2 v2', grants: { maxVersion: 1 } });
    await test.until(() => granter.output.includes('set_version'));
    expect(granter.output).toContain('set_version: -38');
    expect(() => test.boot(grantsKernel, { grants: { maxFrames: 65 } })).toThrow(BadInputError);
    expect(test.host.list()).toHaveLength(1);
    granter.guest.destroy();
  });
});
