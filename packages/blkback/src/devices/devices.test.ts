import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { noise } from '../testing/watched-device.js';
import type { BlockDevice } from './block-device.js';
import { HttpDevice } from './http-device.js';
import { MemoryDevice } from './memory-device.js';
import { OverlayDevice } from './overlay.js';

/** Bytes of the disks. */
const SIZE = 300 * 1024;
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
async function behavesAsBytes(makeDevice: () => BlockDevice, start: Uint8Array): Promise<void> {
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

describe('memory', () => {
  it('behaves as bytes', () => behavesAsBytes(() => new MemoryDevice(SIZE), new Uint8Array(SIZE)));

  it('takes memory only for what was written, and gives it back when it is discarded', () => {
    const device = new MemoryDevice(2 ** 40);
    device.write(2 ** 39, noise(1024));
    expect([device.read(2 ** 39, 1024), device.allocated]).toEqual([noise(1024), 65536]);
    device.discard(2 ** 39, 65536);
    expect(device.allocated).toBe(0);
    device.write(2 ** 39, noise(1024));
    device.discard(512, 2 ** 40 - 512);
    expect(device.allocated).toBe(0);
  });
});

it('an overlay behaves as bytes, and leaves the base as it was', async () => {
  const contents = noise(SIZE);
  const base = MemoryDevice.of(contents);
  await behavesAsBytes(() => new OverlayDevice(base), contents);
  expect(base.read(0, SIZE)).toEqual(contents);
});

describe('HTTP', () => {
  const image = noise(200_000);
  /** A server as `fetch` sees it. */
  function server({ ranges = true } = {}) {
    const requests: string[] = [];
    const state = { etag: '"1"', status: 0, cut: 0 };
    const answer = async (_: unknown, init?: RequestInit): Promise<Response> => {
      const range = new Headers(init?.headers).get('range') ?? '';
      requests.push(range);
      const [from, to] = range.replace('bytes=', '').split('-').map(Number) as [number, number];
      // All of it, and that is much.
      if (!ranges)
        return new Response(new ReadableStream({ pull: (to) => to.enqueue(new Uint8Array(65536)) }));
      if (state.status) return new Response('no', { status: state.status });
      return new Response(image.slice(from, to + 1 - state.cut), {
        status: 206,
        headers: { 'content-range': `bytes ${from}-${to}/${image.length}`, etag: state.etag },
      });
    };
    return { fetch: answer as typeof fetch, requests, state };
  }

  it('reads any range, fetches each block once, and pads to whole sectors', async () => {
    const { fetch, requests } = server();
    const device = await HttpDevice.open('http://host/disk.img', { fetch, blockSize: 4096 });
    expect(device.size).toBe(200_192);
    expect(await device.read(512, 9000)).toEqual(image.slice(512, 9512));
    expect(await device.read(1024, 512)).toEqual(image.slice(1024, 1536));
    expect(requests).toEqual(['bytes=0-0', 'bytes=0-4095', 'bytes=4096-8191', 'bytes=8192-12287']);
    const end = await device.read(199_680, 512);
    expect(end.subarray(0, 320)).toEqual(image.slice(199_680));
    expect(end.subarray(320).every((byte) => byte === 0)).toBe(true);
  });

  it('keeps only so many blocks', async () => {
    const { fetch, requests } = server();
    const device = await HttpDevice.open('http://host/disk.img', { fetch, blockSize: 4096, cachedBlocks: 2 });
    for (const block of [0, 1, 0, 2, 0, 1]) await device.read(block * 4096, 512);
    expect(requests.slice(1)).toEqual([
      'bytes=0-4095',
      'bytes=4096-8191',
      'bytes=8192-12287',
      'bytes=4096-8191',
    ]);
  });

  it('is read-only, and says why it cannot be used', async () => {
    const { fetch, state } = server();
    const device = await HttpDevice.open('http://host/disk.img', { fetch });
    expect(() => device.write()).toThrow('read-only');
    state.etag = '"2"';
    await expect(device.read(0, 512)).rejects.toThrow('has changed');
    state.cut = 7;
    await expect(device.read(0, 512)).rejects.toThrow('65529 bytes instead of 65536');
    state.status = 503;
    await expect(device.read(0, 512)).rejects.toThrow('answers 503');
    // What went wrong is not remembered.
    Object.assign(state, { etag: '"1"', status: 0, cut: 0 });
    expect(await device.read(0, 512)).toEqual(image.slice(0, 512));
    await expect(
      HttpDevice.open('http://host/disk.img', { fetch: server({ ranges: false }).fetch }),
    ).rejects.toThrow('answers 200 to a range request');
  });
});
