import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { isIntact, writeBlank } from '../frame/checksum.js';
import { findHeaders } from '../frame/headers.js';
import { packet } from '../frame/testing.js';
import { listenTo, outsideClock, until } from '../ports/testing.js';
import { encodeStreamFrame, StreamFrames } from './stream-framing.js';
import { connectStreamPort, type StreamAddress } from './stream-port.js';

const clock = outsideClock;

describe('the framing', () => {
  it('is a length of four bytes, big-endian', () => {
    expect([...encodeStreamFrame(Uint8Array.of(7, 8))]).toEqual([0, 0, 0, 2, 7, 8]);
  });

  it('property: comes apart as it was put together, however it is cut', () => {
    const data = fc.uint8Array({ maxLength: 40 });
    fc.assert(
      fc.property(fc.array(data), fc.array(fc.nat(200)), (frames, cuts) => {
        const stream = Buffer.concat(frames.map(encodeStreamFrame));
        const places = [0, ...cuts.sort((a, b) => a - b), stream.length];
        const reader = new StreamFrames();
        const got = places.slice(1).flatMap((end, i) => reader.push(stream.subarray(places[i], end)));
        expect(got).toEqual(frames);
      }),
    );
  });
});

let cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const work of cleanUp.splice(0)) work();
  cleanUp = [];
});

async function listen(kind: 'unix' | 'tcp') {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
  });
  let address: StreamAddress;
  if (kind === 'unix') {
    const directory = mkdtempSync(join(tmpdir(), 'stream-port-'));
    cleanUp.push(() => rmSync(directory, { recursive: true }));
    address = { path: join(directory, 'socket') };
    await new Promise<void>((resolve) => server.listen(join(directory, 'socket'), resolve));
  } else {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = { host: '127.0.0.1', port: (server.address() as { port: number }).port };
  }
  cleanUp.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { address, sockets };
}

describe('a port on a socket', () => {
  it.each(['unix', 'tcp'] as const)('exchanges frames over %s', async (kind) => {
    const { address, sockets } = await listen(kind);
    const port = await connectStreamPort(address, { clock });
    await until(() => sockets.length === 1);
    const reader = new StreamFrames();
    const outside: Uint8Array[] = [];
    sockets[0]!.on('data', (chunk) => outside.push(...reader.push(chunk)));
    const got = listenTo(port);

    // What was left undone is done before it leaves.
    const blank = packet();
    writeBlank(blank, findHeaders(blank)!);
    port.send({ data: blank, checksum: 'blank' });
    const segmentation = { protocol: 'tcp4' as const, size: 1448 };
    port.send({ data: packet({ payload: 4000 }), checksum: 'blank', segmentation });
    await until(() => outside.length === 4);
    expect(outside.every(isIntact)).toBe(true);
    expect(Math.max(...outside.map(({ length }) => length))).toBe(1514);

    const answer = encodeStreamFrame(packet({ payload: 7 }));
    sockets[0]!.write(answer.subarray(0, 9));
    sockets[0]!.write(answer.subarray(9));
    await until(() => got.length === 1);
    expect(got[0]).toEqual(packet({ payload: 7 }));
    port.close!();
    await until(() => sockets[0]!.readableEnded || sockets[0]!.destroyed);
  });

  it('ends with a peer that announces an absurd frame, and says so', async () => {
    const { address, sockets } = await listen('tcp');
    const log: string[] = [];
    const port = await connectStreamPort(address, { clock, log: { log: (_l, _p, text) => log.push(text) } });
    await until(() => sockets.length === 1);
    sockets[0]!.write(Uint8Array.of(0xff, 0, 0, 0));
    await until(() => log.length === 2);
    expect(log[0]).toMatch(/^127\.0\.0\.1:\d+: a frame of 4278190080 bytes was announced\.$/);
    expect(log[1]).toContain('has ended');
    // Nobody is there any more, and that does no harm.
    port.send({ data: packet() });
  });

  it('drops what the socket does not take, instead of keeping it', async () => {
    const { address, sockets } = await listen('tcp');
    const port = await connectStreamPort(address, { clock, maxWaitingBytes: 100_000 });
    await until(() => sockets.length === 1);
    let bytes = 0;
    sockets[0]!.pause();
    for (let i = 0; i < 1000; i++) port.send({ data: new Uint8Array(60_000) });
    sockets[0]!.on('data', (chunk) => {
      bytes += chunk.length;
    });
    sockets[0]!.resume();
    await until(() => bytes > 100_000);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(bytes).toBeLessThan(30_000_000);
  });

  it('cannot be had where nobody listens', async () => {
    await expect(connectStreamPort({ path: '/nobody/listens' }, { clock })).rejects.toThrow(
      '/nobody/listens cannot be reached: connect ENOENT',
    );
  });
});
