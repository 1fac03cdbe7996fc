import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { noise } from '../testing/watched-device.js';
import type { BlockDevice } from './block-device.js';
import { MemoryDevice } from './memory-device.js';
import { OverlayDevice } from './overlay.js';

const SIZE = 300 * 1024;

describe('an overlay', () => {
  it('of a huge disk is discarded in no time and no memory, once the upper device can', async () => {
    const base = new MemoryDevice(2 ** 46);
    const overlay = new OverlayDevice(base);
    base.write(2 ** 45, noise(8192));
    await overlay.discard!(512, 2 ** 46 - 512);
    expect((await overlay.read(2 ** 45, 8192)).every((byte) => byte === 0)).toBe(true);
    const cannot: BlockDevice = Object.assign(new MemoryDevice(512), { discard: undefined });
    expect(new OverlayDevice(new MemoryDevice(512), cannot).discard).toBeUndefined();
  });

  it('commits what changed', async () => {
    const base = MemoryDevice.of(noise(SIZE));
    const overlay = new OverlayDevice(base);
    await overlay.write(1024, noise(512, 9));
    expect(overlay.changed).toBe(4096);
    await overlay.commit();
    expect(overlay.changed).toBe(0);
    expect(base.read(1024, 512)).toEqual(noise(512, 9));
    expect(base.read(0, 1024)).toEqual(noise(1024));
  });

  it('two writes into one new block at the same time are both there', async () => {
    const base = MemoryDevice.of(noise(8192));
    const overlay = new OverlayDevice(base);
    await Promise.all([overlay.write(0, noise(512, 3)), overlay.write(512, noise(512, 4))]);
    const expected = noise(8192);
    expected.set(noise(512, 3), 0);
    expected.set(noise(512, 4), 512);
    expect(await overlay.read(0, 8192)).toEqual(expected);
  });

  it('a write that comes while the upper device is emptied waits for that', async () => {
    const memory = new MemoryDevice(8192);
    const { discard } = memory;
    let begun = (): void => {};
    const emptied = new Promise<void>((resolve) => {
      begun = resolve;
    });
    let empty = (): void => {};
    const top: BlockDevice = Object.assign(memory, {
      discard(offset: number, length: number): Promise<void> {
        begun();
        return new Promise((done) => {
          empty = () => done(discard.call(memory, offset, length));
        });
      },
    });
    const overlay = new OverlayDevice(MemoryDevice.of(noise(8192)), top);
    await overlay.write(0, noise(512, 3));
    const commit = overlay.commit();
    await emptied;
    const write = overlay.write(4096, noise(4096, 4));
    await new Promise((resolve) => setTimeout(resolve));
    empty();
    await Promise.all([commit, write]);
    expect(await overlay.read(4096, 4096)).toEqual(noise(4096, 4));
    expect(await overlay.read(0, 512)).toEqual(noise(512, 3));
  });

  it('commits once at a time', async () => {
    const overlay = new OverlayDevice(MemoryDevice.of(noise(8192)));
    await overlay.write(0, noise(512, 3));
    const first = overlay.commit();
    await expect(overlay.commit()).rejects.toThrow('running already');
    await first;
  });

  it('does not commit into a read-only base', async () => {
    const base = Object.assign(MemoryDevice.of(noise(4096)), { readonly: true });
    await expect(new OverlayDevice(base).commit()).rejects.toThrow('read-only');
  });

  it('property: what is written at the same time, with commits in between, is there', async () => {
    const range = fc.record({ at: fc.nat({ max: 47 }), count: fc.integer({ min: 1, max: 24 }) });
    const act = fc.oneof(
      { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), range }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('discard' as const), range }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('commit' as const), range }) },
    );
    const batches = fc.array(fc.array(act, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(batches, fc.nat(), async (list, seed) => {
        const turns = pace(seed);
        const start = noise(DISK, 1);
        const overlay = new OverlayDevice(
          slow(MemoryDevice.of(start), turns),
          slow(new MemoryDevice(DISK), turns),
        );
        const model = start.slice();
        let version = 2;
        for (const batch of list) {
          /** What each sector may hold afterwards; null: it was discarded. */
          const may = new Map<number, (Uint8Array | null)[]>();
          const hasCommit = batch.some(({ kind }) => kind === 'commit');
          let commits = 0;
          const work = batch.map(({ kind, range: { at, count } }) => {
            const offset = at * 512;
            const length = Math.min(count * 512, DISK - offset);
            // One commit at a time; others are refused.
            if (kind === 'commit') return commits++ === 0 ? overlay.commit() : undefined;
            const data = noise(length, version++);
            for (let n = 0; n < length / 512; n++) {
              const list = may.get(at + n) ?? [];
              may.set(at + n, list);
              list.push(kind === 'write' ? data.subarray(n * 512, n * 512 + 512) : null);
            }
            return kind === 'write' ? overlay.write(offset, data) : overlay.discard!(offset, length);
          });
          await Promise.all(work);
          if (hasCommit) await overlay.commit();
          const now = await overlay.read(0, DISK);
          for (let sector = 0; sector < DISK / 512; sector++) {
            const bytes = now.subarray(sector * 512, sector * 512 + 512);
            const before = model.slice(sector * 512, sector * 512 + 512);
            const options = may.get(sector) ?? [before];
            // A discard leaves zeros, or what was there.
            const isFine = options.some((option) =>
              [option ?? before, option ?? ZEROS].some((one) => Buffer.compare(one, bytes) === 0),
            );
            expect(isFine).toBe(true);
            model.set(bytes, sector * 512);
          }
        }
        await overlay.commit();
        expect(overlay.changed).toBe(0);
        expect(Buffer.compare(await overlay.read(0, DISK), model)).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});

const ZEROS = new Uint8Array(512);
/** 48 sectors: 6 blocks. */
const DISK = 48 * 512;

/** Numbers of turns that depend on the seed alone. */
function pace(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 28;
  };
}

/** A device that takes its time, now more and now less. */
function slow(device: MemoryDevice, turns: () => number): BlockDevice {
  const wait = async (): Promise<void> => {
    for (let left = turns(); left > 0; left--) await Promise.resolve();
  };
  return {
    size: device.size,
    readonly: false,
    async read(offset, length) {
      await wait();
      const bytes = device.read(offset, length);
      await wait();
      return bytes;
    },
    async write(offset, data) {
      const copy = data.slice();
      await wait();
      device.write(offset, copy);
      await wait();
    },
    async discard(offset, length) {
      await wait();
      device.discard(offset, length);
      await wait();
    },
    flush: wait,
  };
}
