import { deflateSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { noise } from '../../testing/watched-device.js';
import { unpack } from './unpack.js';

const SIZE = 65536;
const prose = Uint8Array.from({ length: SIZE }, (_, i) => (i % 100) + (i >> 12));

/** Bytes one after the other. */
const joined = (...parts: ArrayLike<number>[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => Array.from(part)));

describe('zlib', () => {
  it('makes the cluster, whatever stands behind', async () => {
    expect(await unpack(deflateSync(prose), 'zlib', SIZE)).toEqual(prose);
    expect(await unpack(joined(deflateSync(prose), noise(700)), 'zlib', SIZE)).toEqual(prose);
  });
  it('makes no more than the cluster', async () => {
    expect(await unpack(deflateSync(new Uint8Array(64 << 20)), 'zlib', SIZE)).toEqual(new Uint8Array(SIZE));
  });
  it('notices what is damaged, and what is too little', async () => {
    const packed = deflateSync(prose);
    await expect(unpack(packed.subarray(0, packed.length / 2), 'zlib', SIZE)).rejects.toThrow('bytes only');
    await expect(unpack(deflateSync(prose.subarray(512)), 'zlib', SIZE)).rejects.toThrow('65024 bytes only');
    await expect(unpack(new Uint8Array(600).fill(0xff), 'zlib', SIZE)).rejects.toThrow('invalid block type');
    await expect(unpack(new Uint8Array(0), 'zlib', SIZE)).rejects.toThrow('0 bytes only');
  });
});

describe('zstd (RFC 8878)', () => {
  const MAGIC = [0x28, 0xb5, 0x2f, 0xfd];
  /** A header with a window of 64 KiB, and one that says the size of the content. */
  const windowed = [...MAGIC, 0, 6 << 3];
  const single = (bytes: number): number[] => [
    ...MAGIC,
    0xa0,
    ...[0, 8, 16, 24].map((by) => (bytes >>> by) & 0xff),
  ];
  const block = (
    kind: 'raw' | 'rle',
    length: number,
    data: ArrayLike<number>,
    isLast = false,
  ): Uint8Array => {
    const header = (length << 3) | (kind === 'rle' ? 2 : 0) | Number(isLast);
    return joined([header & 0xff, (header >> 8) & 0xff, header >> 16], data);
  };
  const half = noise(SIZE / 2);
  const expected = joined(half, new Uint8Array(SIZE / 2).fill(7));

  it('makes the cluster of one frame or of two, whatever stands behind', async () => {
    const [first, second] = [block('raw', SIZE / 2, half), block('rle', SIZE / 2, [7], true)];
    expect(await unpack(joined(windowed, first, second), 'zstd', SIZE)).toEqual(expected);
    expect(await unpack(joined(single(SIZE), first, second, noise(600)), 'zstd', SIZE)).toEqual(expected);
    const next = joined(single(SIZE), first);
    expect(await unpack(joined(windowed, first, second, next), 'zstd', SIZE)).toEqual(expected);
    const alone = block('raw', SIZE / 2, half, true);
    expect(await unpack(joined(windowed, alone, windowed, second, noise(9)), 'zstd', SIZE)).toEqual(expected);
  });

  const last = block('rle', SIZE / 2, [7], true);
  it.each<[string, Uint8Array, string]>([
    ['a window of 1 GiB', joined([...MAGIC, 0, 20 << 3], last), 'a window of 1073741824 bytes'],
    ['a content of 1 GiB', joined(single(1 << 30), last), 'a window of 1073741824 bytes'],
    [
      'the same in its second frame',
      joined(windowed, last, [...MAGIC, 0, 21 << 3], last),
      '32768 bytes only',
    ],
    [
      'blocks without end',
      joined(windowed, ...Array.from({ length: 200 }, () => block('rle', 1, [7]))),
      'too many blocks',
    ],
    ['no end', joined(windowed, block('raw', 100, noise(100))), 'cut off'],
    ['too little', joined(windowed, last), '32768 bytes only'],
    ['no frame', noise(100), '0 bytes only'],
  ])('refuses what has %s', (_, packed, problem) =>
    expect(unpack(packed, 'zstd', SIZE)).rejects.toThrow(problem),
  );
});
