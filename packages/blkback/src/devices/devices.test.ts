import { describe, expect, it } from 'vitest';
import { behavesAsBytes, SIZE } from '../testing/behaves-as-bytes.js';
import { noise } from '../testing/watched-device.js';
import { HttpDevice } from './http-device.js';
import { MemoryDevice } from './memory-device.js';

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

describe('HTTP', () => {
  const image = noise(200_000);
  /** A server as `fetch` sees it. */
  function server({ ranges = true } = {}) {
    const requests: string[] = [];
    const state = { etag: '"1"' };
    const answer = async (_: unknown, init?: RequestInit): Promise<Response> => {
      const range = new Headers(init?.headers).get('range') ?? '';
      requests.push(range);
      const [from, to] = range.replace('bytes=', '').split('-').map(Number) as [number, number];
      if (!ranges) return new Response(image.slice());
      return new Response(image.slice(from, to + 1), {
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
    await expect(
      HttpDevice.open('http://host/disk.img', { fetch: server({ ranges: false }).fetch }),
    ).rejects.toThrow('answers 200 to a range request');
  });
});
