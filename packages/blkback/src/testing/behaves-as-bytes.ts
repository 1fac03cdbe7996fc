import fc from 'fast-check';
import { expect } from 'vitest';
import type { BlockDevice } from '../devices/block-device.js';
import { noise } from './watched-device.js';

/** Bytes of the disks. */
export const SIZE = 300 * 1024;
const sectors = SIZE / 512;
const operation = fc
  .record({
    kind: fc.constantFrom('read', 'write', 'discard'),
    at: fc.integer({ min: 0, max: sectors - 1 }),
    count: fc.integer({ min: 1, max: 200 }),
    seed: fc.nat(),
  })
  .map(({ kind, at, count, seed }) => ({
    kind,
    offset: at * 512,
    length: Math.min(count, sectors - at) * 512,
    seed,
  }));

/** Property: does the same with a device and with plain bytes. */
export async function behavesAsBytes(makeDevice: () => BlockDevice, start: Uint8Array): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 20 }), async (operations) => {
      const device = makeDevice();
      const model = start.slice();
      for (const { kind, offset, length, seed } of operations) {
        if (kind === 'write') {
          const data = noise(length, seed);
          model.set(data, offset);
          await device.write(offset, data);
        } else if (kind === 'discard') {
          await device.discard!(offset, length);
          const now = await device.read(offset, length);
          // Zeros or as before, each 512 bytes of it.
          for (let at = 0; at < length; at += 512) {
            const sector = now.subarray(at, at + 512);
            if (sector.every((byte) => byte === 0)) model.fill(0, offset + at, offset + at + 512);
          }
        }
        expect(areSame(await device.read(offset, length), model.subarray(offset, offset + length))).toBe(
          true,
        );
      }
      await device.flush();
      expect(areSame(await device.read(0, SIZE), model)).toBe(true);
    }),
    { numRuns: 30 },
  );
}

/** Much faster than `toEqual`. */
const areSame = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);
