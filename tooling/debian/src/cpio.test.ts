import { describe, expect, it } from 'vitest';
import { writeCpio } from './cpio.mjs';

const field = (archive: Buffer, member: number, index: number) =>
  Number.parseInt(archive.toString('latin1', member + 6 + index * 8, member + 14 + index * 8), 16);

describe('writeCpio', () => {
  it('writes a member as header, padded name and padded data', () => {
    const archive = writeCpio([{ type: 'file', path: 'init', mode: 0o755, data: Buffer.from('abcde') }]);
    expect(archive.toString('latin1', 0, 6)).toBe('070701');
    expect(field(archive, 0, 1)).toBe(0o100755);
    expect(field(archive, 0, 6)).toBe(5);
    expect(field(archive, 0, 11)).toBe('init\0'.length);
    expect(archive.toString('latin1', 110, 115)).toBe('init\0');
    // 110 + 5 is padded to 116, where the data begins; 116 + 5 to 124, where the trailer does.
    expect(archive.toString('latin1', 116, 124)).toBe('abcde\0\0\0');
    expect(archive.toString('latin1', 124, 130)).toBe('070701');
    expect(archive.toString('latin1', 124 + 110, 124 + 120)).toBe('TRAILER!!!');
    expect(archive.length % 4).toBe(0);
  });

  it('writes device numbers and link targets', () => {
    const archive = writeCpio([
      { type: 'character-device', path: 'dev/null', mode: 0o666, major: 1, minor: 3 },
      { type: 'symlink', path: 'bin/sh', target: 'busybox' },
    ]);
    expect([1, 9, 10].map((index) => field(archive, 0, index))).toEqual([0o020666, 1, 3]);
    const link = archive.indexOf('070701', 6);
    expect(field(archive, link, 1)).toBe(0o120777);
    expect(archive.includes('bin/sh\0')).toBe(true);
    expect(archive.includes('busybox')).toBe(true);
  });
});
