import { readFileSync } from 'node:fs';
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
/**
 * What each role printed as a domU of 16 MiB under Debian 12's Xen
 * (xen-hypervisor-4.17-amd64 4.17.7+13-g2445b30a44-0+deb12u1, in QEMU's emulation of a PC).
 */
const REAL = new Map(
  readFileSync(new URL('../fixtures/grants.console.txt', import.meta.url), 'latin1')
    .split('== ')
    .map((part) => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n') + 1)]),
);

describe('two domains', () => {
  it.each(['', ' v2'])(
    'grant, map, copy and transfer as under real Xen, with the option "%s"',
    async (options) => {
      const { after, before, granter, mapper } = await exchange(options);
      expect(granter.output.replaceAll('\r', '')).toBe(REAL.get(`grant${options}`));
      expect(mapper.output.replaceAll('\r', '')).toBe(REAL.get(`map${options}`));
      for (const { guest } of [granter, mapper]) expect(guest.result).toMatchObject({ reason: 'poweroff' });
      // The first domain of a host leaves the directories of all.
      expect({ ...after, nodes: 0 }).toEqual({ ...before, nodes: 0 });
    },
  );

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
