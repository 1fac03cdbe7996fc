import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ClusterPlan, type Image, type ImagePlan, qcow2Image } from '../../testing/qcow2-image.js';
import { noise, WatchedDevice } from '../../testing/watched-device.js';
import { BlockDeviceError } from '../block-device.js';
import { MemoryDevice } from '../memory-device.js';
import { OverlayDevice } from '../overlay.js';
import { Qcow2Device } from './qcow2-device.js';

const open = (image: Image | Uint8Array, options = {}) =>
  Qcow2Device.open(MemoryDevice.of(image instanceof Uint8Array ? image : image.bytes), {
    name: 'disk.qcow2',
    ...options,
  });

/** Bytes that can be compressed. */
const prose = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i % 7) * seed);

/** An image with clusters of all kinds, and what its disk holds. */
function image(
  version: 2 | 3,
  clusterBits: number,
  kinds: readonly string[],
  seed: number,
  base?: Uint8Array,
) {
  const size = 2 ** clusterBits;
  const clusters = new Map<number, ClusterPlan>();
  // The last cluster is cut off in the middle.
  const disk = new Uint8Array(kinds.length * size - 512 * (seed % (size / 512)));
  if (base) disk.set(base.subarray(0, disk.length));
  kinds.forEach((kind, i) => {
    const put = (bytes: Uint8Array): void => disk.set(bytes.subarray(0, disk.length - i * size), i * size);
    if (kind === 'data') {
      clusters.set(i, { kind, bytes: noise(size, seed + i) });
      put(noise(size, seed + i));
    } else if (kind === 'packed') {
      clusters.set(i, { kind, bytes: prose(size, seed + i) });
      put(prose(size, seed + i));
    } else if (kind === 'zeros' && version === 3) {
      clusters.set(i, { kind });
      put(new Uint8Array(size));
    }
  });
  const plan: ImagePlan = { size: disk.length, version, clusterBits, clusters };
  return { plan, disk };
}

const kinds = fc.array(fc.constantFrom('data', 'packed', 'zeros', 'none'), { minLength: 1, maxLength: 90 });

describe('a qcow2 image', () => {
  it('property: reads as what was put in, whatever the kinds of its clusters', async () => {
    const arbitrary = [
      fc.constantFrom<2 | 3>(2, 3),
      fc.constantFrom(9, 10, 12),
      kinds,
      fc.nat({ max: 99 }),
      fc.nat(),
    ] as const;
    await fc.assert(
      fc.asyncProperty(...arbitrary, async (version, bits, list, seed, at) => {
        const { plan, disk } = image(version, bits, list, seed);
        const device = await open(qcow2Image(plan));
        expect([device.size, device.readonly]).toEqual([disk.length, true]);
        expect(Buffer.compare(await device.read(0, disk.length), disk)).toBe(0);
        const offset = (at % (disk.length / 512)) * 512;
        const part = await device.read(offset, Math.min(2048, disk.length - offset));
        expect(Buffer.compare(part, disk.subarray(offset, offset + part.length))).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('has below it what it says, which may be shorter', async () => {
    const base = noise(5 * 4096 + 1024, 3);
    const { plan, disk } = image(3, 12, ['none', 'data', 'zeros', 'none', 'packed', 'none', 'none'], 1, base);
    const seen: unknown[] = [];
    const openBacking = async (...asked: unknown[]) => {
      seen.push(asked);
      return MemoryDevice.of(base);
    };
    const device = await open(qcow2Image({ ...plan, backing: { name: 'base.img', format: 'raw' } }), {
      openBacking,
    });
    expect(seen).toEqual([['base.img', 'raw']]);
    expect(Buffer.compare(await device.read(0, disk.length), disk)).toBe(0);
    const two = qcow2Image({ ...image(2, 12, ['none'], 0).plan, backing: { name: 'x' } });
    await open(two, { openBacking });
    expect(seen.at(-1)).toEqual(['x', undefined]);
    await expect(open(two)).rejects.toThrow('disk.qcow2 needs "x" below it');
  });

  it('has subclusters', async () => {
    const size = 1 << 14;
    const sub = size / 32;
    const bytes = noise(size, 5);
    const base = noise(3 * size, 6);
    const clusters = new Map<number, ClusterPlan>([
      [0, { kind: 'parts', bytes, allocated: 0b1011, zeros: 0b0100 }],
      [1, { kind: 'packed', bytes: prose(size, 2) }],
      [2, { kind: 'zeros' }],
    ]);
    const plan: ImagePlan = {
      size: 4 * size,
      clusterBits: 14,
      extendedL2: true,
      clusters,
      backing: { name: 'b' },
    };
    const device = await open(qcow2Image(plan), { openBacking: async () => MemoryDevice.of(base) });
    const expected = new Uint8Array(4 * size);
    expected.set(base);
    expected.set(bytes.subarray(0, 4 * sub));
    expected.fill(0, 2 * sub, 3 * sub);
    expected.set(prose(size, 2), size);
    expected.fill(0, 2 * size);
    expect(Buffer.compare(await device.read(0, 4 * size), expected)).toBe(0);
  });

  it('can be written to through an overlay, and stays as it is', async () => {
    const { plan, disk } = image(3, 12, ['data', 'packed', 'none'], 8);
    const { bytes } = qcow2Image(plan);
    const file = MemoryDevice.of(bytes);
    const qcow2 = await Qcow2Device.open(file);
    const overlay = new OverlayDevice(qcow2);
    expect(() => qcow2.write()).toThrow('only be read');
    await overlay.write(4096 + 512, noise(1024, 9));
    disk.set(noise(1024, 9), 4096 + 512);
    expect(Buffer.compare(await overlay.read(0, disk.length), disk)).toBe(0);
    expect(Buffer.compare(file.read(0, bytes.length), bytes)).toBe(0);
  });

  it('fetches runs of clusters at once, tables and unpacked clusters once', async () => {
    const { plan } = image(3, 12, ['data', 'data', 'data', 'packed', 'data'], 0);
    const file = new WatchedDevice(qcow2Image(plan).bytes);
    const device = await Qcow2Device.open(file);
    file.reads.length = 0;
    await device.read(512, 4 * 4096 - 512);
    expect(file.reads.map(({ length }) => length)).toEqual([4096, 3 * 4096 - 512, expect.any(Number)]);
    file.reads.length = 0;
    await device.read(3 * 4096, 4096);
    expect(file.reads).toEqual([]);
  });
});

const u32 = (value: number): number[] =>
  [value >>> 24, value >>> 16, value >>> 8, value].map((byte) => byte & 0xff);
const u64 = (value: number): number[] => [...u32(Math.floor(value / 2 ** 32)), ...u32(value >>> 0)];

describe('an image that lies is refused', () => {
  const good = qcow2Image(image(3, 12, ['data', 'packed', 'none', 'data'], 4).plan);
  const spoilt = (at: number, bytes: readonly number[]): Uint8Array => {
    const copy = good.bytes.slice();
    copy.set(bytes, at);
    return copy;
  };
  it.each<[string, number, readonly number[], string]>([
    ['no image', 0, [0], 'is no qcow2 image'],
    ['version 1', 4, u32(1), 'version 1; 2 and 3 are known'],
    ['absurd cluster bits', 20, u32(40), 'claims clusters of 2^40 bytes'],
    ['too small clusters', 20, u32(8), 'claims clusters of 2^8 bytes'],
    ['encryption', 32, u32(1), 'is encrypted'],
    ['a feature of the future', 72, u64(1 << 20), 'features that are not known: 0x100000'],
    ['the mark of corruption', 72, u64(2), 'marked as corrupt'],
    ['data elsewhere', 72, u64(4), 'data in another file'],
    [
      'compression of another kind',
      72,
      [...u64(8), ...u64(0), ...u64(0), ...u32(4), ...u32(112), 7],
      'method 7',
    ],
    ['subclusters that are too small', 72, u64(16), 'subclusters'],
    ['reference counts that are too wide', 96, u32(7), 'reference counts of 2^7 bits'],
    ['a short header', 100, u32(72), 'a header of 72 bytes'],
    ['an odd size', 24, u64(1000), 'claims a disk of 1000 bytes'],
    ['a size without end', 24, [0xff, ...u64(0).slice(1)], 'claims a disk of'],
    ['a disk that is too large for its clusters', 24, u64(2 ** 45), 'clusters that are too small'],
    ['a disk that is larger than its L1 table', 24, u64(2 ** 30), 'too small an L1 table'],
    ['an L1 table beyond the end', 40, u64(1 << 20), 'L1 table beyond its end'],
    ['an L1 table that is not aligned', 40, u64(4097), 'not the start of a cluster'],
    ['an L1 table over the header', 40, u64(0), 'L1 table over its header'],
    ['an L1 table without end', 36, [...u32(0xffff_ffff)], ''],
    ['reference counts beyond the end', 48, u64(1 << 20), 'reference counts beyond its end'],
    ['no reference counts', 56, u32(0), 'reference counts of 0 bytes'],
    ['reference counts without end', 56, u32(0xffff_ffff), 'table of reference counts of'],
    ['an L2 table beyond the end', good.l1, u64(1 << 20), 'points beyond its end'],
    ['an L2 table that is not aligned', good.l1, u64(512), 'where no cluster begins'],
    ['an L2 table that is the L1 table', good.l1, u64(4096), 'a table that is another one'],
    ['reserved bits in the L1 table', good.l1, [0x40], 'has reserved bits'],
    ['the name of a backing file beyond the header', 8, u64(1 << 20), 'backing file'],
    ['a long name of a backing file', 8, [...u64(120), ...u32(2000)], 'backing file, of 2000 bytes'],
  ])('%s', async (_, at, bytes, problem) => {
    // What the table claims beyond what the disk needs is not looked at.
    if (problem === '') expect((await open(spoilt(at, bytes))).size).toBe(4 * 4096 - 4 * 512);
    else {
      await expect(open(spoilt(at, bytes))).rejects.toThrow(BlockDeviceError);
      await expect(open(spoilt(at, bytes))).rejects.toThrow(problem);
    }
  });

  it('two entries of the L1 table that are the same', async () => {
    const many = qcow2Image(image(3, 9, Array(130).fill('data'), 4).plan);
    many.bytes.copyWithin(many.l1 + 8, many.l1, many.l1 + 8);
    await expect(open(many)).rejects.toThrow('twice');
  });

  it.each([0, 500, 512, 4096, 8192])('cut off behind %i bytes', async (length) => {
    await expect(open(good.bytes.slice(0, length))).rejects.toThrow(BlockDeviceError);
  });

  const l2 = good.l2[0]!;
  it.each<[string, number, readonly number[], string]>([
    ['a cluster beyond the end', l2, u64(1 << 24), 'points beyond the end'],
    ['a cluster that is not aligned', l2, u64(4096 * 2 + 512), 'where no cluster begins'],
    ['a cluster that is the table itself', l2, u64(l2), 'points to a table'],
    ['a cluster that is the L1 table', l2, u64(good.l1), 'points to a table'],
    ['a cluster that is the header', l2, [0x80, 0, 0, 0, 0, 0, 0, 0], 'in the header'],
    ['reserved bits', l2, u64(8), 'reserved bits'],
    ['a compressed cluster beyond the end', l2 + 8, [0x40, 0, 0, 1, 0, 0, 0, 0], 'no compressed cluster'],
    ['a compressed cluster that is a table', l2 + 8, [0x40, 0, 0, 0, ...u32(l2)], 'no compressed cluster'],
    [
      'a compressed cluster that is none',
      l2 + 8,
      [0x40, 0, 0, 0, ...u32(good.bytes.length - 1024)],
      'is damaged',
    ],
  ])('where it is read: %s', async (_, at, bytes, problem) => {
    const device = await open(spoilt(at, bytes));
    const offset = at === l2 ? 0 : 4096;
    await expect(device.read(offset, 512)).rejects.toThrow(BlockDeviceError);
    await expect(device.read(offset, 512)).rejects.toThrow(problem);
    expect((await device.read(8192, 512)).every((byte) => byte === 0)).toBe(true);
  });

  it('property: whatever is changed in it, it is refused, gives errors, or reads; and takes no more than its size', async () => {
    const lists = fc.array(fc.constantFrom('data', 'packed', 'zeros', 'none'), {
      minLength: 1,
      maxLength: 40,
    });
    const value = fc.oneof(
      fc.constantFrom(0, 1, 0xff, 0x7fff_ffff, 0xffff_ffff, 0x4000_0000, 0x8000_0000),
      fc.nat({ max: 64 }).map((n) => n * 512),
      fc.integer().map((n) => n >>> 0),
    );
    const change = fc.record({ where: fc.constantFrom('header', 'l1', 'l2', 'any'), at: fc.nat(), value });
    const cut = fc.option(fc.nat(), { freq: 4 });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom<2 | 3>(2, 3),
        fc.constantFrom(9, 10, 12),
        lists,
        fc.array(change, { minLength: 1, maxLength: 6 }),
        cut,
        async (version, bits, list, changes, length) => {
          const { bytes, l1, l2 } = qcow2Image(image(version, bits, list, 1).plan);
          const view = new DataView(bytes.buffer);
          for (const { where, at, value } of changes) {
            const words = { header: 32, l1: 4, l2: 2 ** bits / 4, any: bytes.length / 4 }[where];
            const start = { header: 0, l1, l2: l2[at % l2.length] ?? 0, any: 0 }[where];
            view.setUint32(start + (at % words) * 4, value);
          }
          const file = new WatchedDevice(
            length === null ? bytes : bytes.slice(0, (length % (bytes.length / 512)) * 512),
          );
          await survives(file);
        },
      ),
      { numRuns: 1500 },
    );
  }, 60_000);
});

/** Opens an image and reads here and there. */
async function survives(file: WatchedDevice): Promise<void> {
  const refused = (error: unknown): undefined => {
    if (!(error instanceof BlockDeviceError)) throw error;
  };
  const openBacking = async () => MemoryDevice.of(noise(8192, 2));
  const device = await Qcow2Device.open(file, { openBacking }).catch(refused);
  if (!device) return;
  const length = Math.min(device.size, 16_384);
  for (const offset of [0, Math.floor(device.size / 1024) * 512, device.size - length]) {
    const bytes = await device.read(offset, Math.min(length, device.size - offset)).catch(refused);
    if (bytes) expect(bytes.length).toBe(Math.min(length, device.size - offset));
  }
  // `WatchedDevice` throws at what is not there; all that was read at once is no more than there is.
  for (const read of file.reads) expect(read.length).toBeLessThanOrEqual(file.size);
}
