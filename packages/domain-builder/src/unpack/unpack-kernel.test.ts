import { readFileSync } from 'node:fs';
import { BadInputError, NotImplementedError } from '@xenolith/host-interface';
import fc from 'fast-check';
import { gzipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { concatenate, linuxLikeElf, makeBzImage, storeXz, u32, withLength } from '../../test/images.js';
import { sampleBytes } from '../../test/sample.js';
import { unpackGzip, unpackPayload } from './compression.js';
import { contentKey } from './content-key.js';
import { crc32 } from './crc32.js';
import { unpackLz4Legacy } from './lz4-legacy.js';
import { unpackKernel } from './unpack-kernel.js';
import { unpackXz } from './xz.js';

const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`fixtures/${name}`, import.meta.url)));
const code = sampleBytes(60_000);
const small = sampleBytes(5_000);
const LIMIT = 1 << 26;

function same(actual: Uint8Array, expected: Uint8Array): void {
  // Buffer's comparison is fast; toEqual on typed arrays is not.
  expect(Buffer.compare(actual, expected)).toBe(0);
}

/** Runs with one input and accepts only success or the two errors for input. */
function survives(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof BadInputError || error instanceof NotImplementedError)) throw error;
    expect(error.message).toMatch(/^.{20,400}$/);
  }
}

const FORMATS = [
  ['code.x86.xz', 'xz', code],
  ['code.chunks.xz', 'xz', concatenate(Array.from({ length: 40 }, () => code))],
  ['code.lp2.xz', 'xz', small],
  ['code.blocks.xz', 'xz', small],
  ['code.lz4', 'lz4', code],
  ['code.zst', 'zstd', code],
] as const;

describe('payloads', () => {
  it.each(FORMATS)('%s unpacks to the bytes that went in', (name, compression, bytes) => {
    same(unpackPayload(withLength(fixture(name), bytes.length), compression, LIMIT), bytes);
  });

  it.each(FORMATS)('%s with a byte more or less declared is refused', (name, compression, bytes) => {
    for (const length of [0, bytes.length - 1, bytes.length + 1]) {
      const run = (): unknown => unpackPayload(withLength(fixture(name), length), compression, LIMIT);
      expect(run).toThrow(BadInputError);
    }
  });

  it.each(FORMATS)('%s above the limit is refused before it is unpacked', (name, compression, bytes) => {
    const run = (): unknown => unpackPayload(withLength(fixture(name), bytes.length), compression, 1000);
    expect(run).toThrow(/more than the limit of 0x3e8/);
  });

  it('gzip unpacks, and its checksum is verified', () => {
    const packed = gzipSync(code);
    same(unpackGzip(packed, LIMIT, 'file'), code);
    packed[packed.length - 6]! ^= 1;
    expect(() => unpackGzip(packed, LIMIT, 'file')).toThrow(
      'The file is damaged: its checksum does not match.',
    );
  });

  it("xz: a block's checksum is verified", () => {
    const packed = fixture('code.blocks.xz');
    const bytes = unpackXz(packed, small.length);
    same(bytes, small);
    let refused = 0;
    for (let at = 24; at < packed.length - 60; at += 7) {
      const damaged = packed.slice();
      damaged[at]! ^= 0x10;
      try {
        same(unpackXz(damaged, small.length), small);
      } catch (error) {
        expect(error).toBeInstanceOf(BadInputError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(150);
  });

  it('xz: another filter is named', () => {
    expect(() => unpackXz(fixture('code.delta.xz'), small.length)).toThrow(NotImplementedError);
    expect(() => unpackXz(fixture('code.delta.xz'), small.length)).toThrow('uses filters 0x3, 0x21');
  });

  it('lz4: frames may be concatenated', () => {
    const packed = fixture('code.lz4');
    // The first block is only full at 8 MiB, so the second frame follows at once.
    const twice = unpackLz4Legacy(concatenate([packed, packed]), 2 * code.length);
    same(twice.subarray(code.length), code);
  });

  it.each(['bzip2', 'lzma', 'lzo'] as const)('%s is refused with advice', (compression) => {
    expect(() => unpackPayload(code, compression, LIMIT)).toThrow(NotImplementedError);
    expect(() => unpackPayload(code, compression, LIMIT)).toThrow('extract-vmlinux');
  });

  it.each(FORMATS.filter(([, , bytes]) => bytes.length < 100_000))(
    '%s: damage never surprises',
    (name, compression, bytes) => {
      const packed = withLength(fixture(name), bytes.length);
      fc.assert(
        fc.property(
          fc.nat(packed.length - 1),
          fc.integer({ min: 1, max: 255 }),
          fc.boolean(),
          (at, flip, cut) => {
            const damaged = cut ? packed.slice(0, at) : packed.slice();
            if (!cut) damaged[at]! ^= flip;
            survives(() => unpackPayload(damaged, compression, LIMIT));
          },
        ),
        { numRuns: 150, seed: 1 },
      );
    },
  );
});

describe('crc32 and contentKey', () => {
  it('give the published values', () => {
    expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926);
    expect(crc32(new TextEncoder().encode('The quick brown fox jumps over the lazy dog'))).toBe(0x414fa339);
    expect(contentKey(new Uint8Array())).toBe('0'.repeat(32));
  });

  it('differ for any change', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 80 }),
        fc.nat(),
        fc.nat(7),
        (bytes, where, bit) => {
          const other = bytes.slice();
          other[where % bytes.length]! ^= 1 << bit;
          expect(contentKey(other)).not.toBe(contentKey(bytes));
          expect(crc32(other)).not.toBe(crc32(bytes));
          expect(contentKey(bytes.slice())).toBe(contentKey(bytes));
        },
      ),
    );
  });
});

describe('unpackKernel', () => {
  const elf = linuxLikeElf();
  const xz = makeBzImage(withLength(storeXz(elf, crc32), elf.length));

  it('takes an ELF file as it is', () => {
    expect(unpackKernel(elf)).toEqual({
      image: elf,
      container: 'ELF',
      compression: 'none',
      fromCache: false,
    });
  });

  it('takes a gzip file of an ELF file or of a bzImage', () => {
    const plain = unpackKernel(gzipSync(elf));
    expect([plain.container, plain.compression]).toEqual(['ELF', 'gzip']);
    same(plain.image, elf);
    const inner = unpackKernel(gzipSync(xz));
    expect([inner.container, inner.compression]).toEqual(['bzImage', 'xz']);
    same(inner.image, elf);
    expect(() => unpackKernel(gzipSync(gzipSync(elf)))).toThrow('holds another gzip file');
  });

  it.each([
    ['none', elf],
    ['gzip', gzipSync(elf)],
    ['xz', withLength(storeXz(elf, crc32), elf.length)],
  ] as const)('takes a bzImage with payload %s', (compression, payload) => {
    const unpacked = unpackKernel(makeBzImage(payload));
    expect(unpacked.compression).toBe(compression);
    expect(unpacked.bzImage).toEqual({
      protocol: 0x20f,
      version: '6.1.0-test',
      payloadOffset: 0x640,
      payloadLength: payload.length,
    });
    same(unpacked.image, elf);
  });

  it('asks the cache before it unpacks, and tells it what it unpacked', () => {
    const store = new Map<string, Uint8Array>();
    const cache = {
      get: (key: string) => store.get(key),
      put: (key: string, image: Uint8Array) => void store.set(key, image),
    };
    for (const file of [xz, gzipSync(elf)]) {
      store.clear();
      expect(unpackKernel(file, { cache }).fromCache).toBe(false);
      expect(store.size).toBe(1);
      const again = unpackKernel(file, { cache });
      expect(again.fromCache).toBe(true);
      same(again.image, elf);
      // What is no ELF file is not believed.
      for (const key of store.keys()) store.set(key, new Uint8Array(10));
      expect(unpackKernel(file, { cache }).fromCache).toBe(false);
    }
    store.clear();
    unpackKernel(elf, { cache });
    expect(store.size).toBe(0);
  });

  it.each([
    [new Uint8Array(), 'The kernel file is empty.'],
    [new TextEncoder().encode('hello'), 'it starts with 68 65 6c 6c and has only 5 bytes'],
    [new Uint8Array(4096), 'has no "HdrS" at offset 0x202'],
    [fixture('code.x86.xz'), 'packed with xz: unpack it first'],
    [makeBzImage(elf, 0x207), 'boot protocol 2.07 (at offset 0x206): 2.08 or newer is needed'],
    [makeBzImage(new Uint8Array(100)), 'packed in an unknown way: it starts with 00 00 00 00 00 00'],
    [makeBzImage(new Uint8Array()), 'empty payload'],
    [makeBzImage(elf).subarray(0, 0x230), 'the setup header should be at bytes 0x0 to 0x250'],
    [makeBzImage(elf).subarray(0, 0x700), 'the payload'],
    [makeBzImage(concatenate([new Uint8Array([0x1f, 0x8b, 8]), u32(1000)])), 'gzip header and trailer'],
  ])('refuses bad input %#', (bytes, message) => {
    expect(() => unpackKernel(bytes)).toThrow(BadInputError);
    expect(() => unpackKernel(bytes)).toThrow(message);
  });

  it('a bzImage cut anywhere is refused', () => {
    for (let size = 0; size < xz.length; size += 13) {
      expect(() => unpackKernel(xz.subarray(0, size))).toThrow(BadInputError);
    }
  });
});
