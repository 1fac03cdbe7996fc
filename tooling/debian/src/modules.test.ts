import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { moduleEntries } from './modules.mjs';

describe('modules for an initramfs', () => {
  const directory = mkdtempSync(join(tmpdir(), 'modules-'));
  afterAll(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, '6.1/fs'), { recursive: true });
  for (const [name, depends] of [
    ['fs/ext4', 'jbd2,mb-cache'],
    ['fs/jbd2', ''],
    ['mb_cache', 'crc16'],
    ['crc16', ''],
    ['other', ''],
  ]) {
    writeFileSync(join(directory, '6.1', `${name}.ko`), `license=GPL\0depends=${depends}\0name=x\0`);
  }

  it('come with those that they depend on, which are loaded first', () => {
    const entries = moduleEntries(directory, ['other', 'ext4']);
    expect(entries.map(({ path }) => path)).toEqual([
      'modules',
      ...['other', 'jbd2', 'crc16', 'mb_cache', 'ext4'].map((name) => `modules/${name}.ko`),
      'modules/load',
    ]);
    const load = entries.at(-1)!;
    expect(load.type === 'file' && String(load.data)).toContain('in other jbd2 crc16 mb_cache ext4;');
  });

  it('that are not there are an error', () => {
    expect(() => moduleEntries(directory, ['ext5'])).toThrow('ext5 is none of the modules');
  });
});
