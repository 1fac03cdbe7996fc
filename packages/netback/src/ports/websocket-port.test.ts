import type { AddressInfo } from 'node:net';
import type { Logger } from '@xenolith/host-interface';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { isIntact, writeBlank } from '../frame/checksum.js';
import { findHeaders } from '../frame/headers.js';
import { packet } from '../frame/testing.js';
import { listenTo, outsideClock, until } from './testing.js';
import { connectWebSocketPort } from './websocket-port.js';

const open = (url: string) => new WebSocket(url);
let relays: WebSocketServer[] = [];
afterEach(() => {
  vi.unstubAllGlobals();
  for (const relay of relays) {
    for (const client of relay.clients) client.terminate();
    relay.close();
  }
  relays = [];
});

/** A relay on the loopback, as a port meets it. */
async function startRelay() {
  const relay = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  relays.push(relay);
  await new Promise((resolve) => relay.once('listening', resolve));
  const got: Uint8Array[] = [];
  const clients: WebSocket[] = [];
  relay.on('connection', (client) => {
    clients.push(client);
    client.on('message', (data: Buffer, isBinary) => isBinary && got.push(Uint8Array.from(data)));
  });
  return { url: `ws://127.0.0.1:${(relay.address() as AddressInfo).port}/`, got, clients };
}

describe('a port on a relay', () => {
  it('exchanges frames, one in each binary message', async () => {
    const { url, got, clients } = await startRelay();
    const port = await connectWebSocketPort(url, { clock: outsideClock, open });
    const received = listenTo(port);
    const blank = packet();
    writeBlank(blank, findHeaders(blank)!);
    port.send({ data: blank, checksum: 'blank' });
    const segmentation = { protocol: 'tcp4' as const, size: 1448 };
    port.send({ data: packet({ payload: 4000 }), checksum: 'blank', segmentation });
    await until(() => got.length === 4);
    expect(got[0]).toEqual(packet());
    expect(got.every(isIntact)).toBe(true);
    expect(got.map(({ length }) => length).sort((a, b) => b - a)[0]).toBe(1514);

    clients[0]!.send('a text is no frame');
    clients[0]!.send(new Uint8Array(65_536));
    clients[0]!.send(new Uint8Array(13));
    clients[0]!.send(packet({ payload: 7 }));
    await until(() => received.length > 0);
    expect(received).toEqual([packet({ payload: 7 })]);
    port.close!();
    await until(() => clients[0]!.readyState === WebSocket.CLOSED);
  });

  it('says it when the relay goes away, and loses what is sent then', async () => {
    const { url, clients } = await startRelay();
    const lines: string[] = [];
    const log: Logger = { log: (_level, _part, text) => lines.push(text) };
    const port = await connectWebSocketPort(url, { clock: outsideClock, log, open });
    await until(() => clients.length === 1);
    clients[0]!.close();
    await until(() => lines.length > 0);
    expect(lines).toEqual([`${url}: the connection has ended; what the guest sends is lost from now on.`]);
    port.send({ data: packet() });
  });

  it('drops what the relay does not take, instead of keeping it', async () => {
    const { url, got, clients } = await startRelay();
    const port = await connectWebSocketPort(url, { clock: outsideClock, open, maxWaitingBytes: 100_000 });
    await until(() => clients.length === 1);
    clients[0]!.pause();
    for (let i = 0; i < 1000; i++) port.send({ data: new Uint8Array(60_000) });
    clients[0]!.resume();
    await until(() => got.length > 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(got.length).toBeLessThan(500);
  });

  it('cannot be had where there is no relay', async () => {
    const options = { clock: outsideClock, open };
    const { url } = await startRelay();
    relays[0]!.close();
    await expect(connectWebSocketPort(url, options)).rejects.toThrow(
      `${url} cannot be reached: connect ECONNREFUSED`,
    );
    await expect(connectWebSocketPort('http://', options)).rejects.toThrow('http:// cannot be reached: ');
  });

  it('takes the WebSocket of browsers, where there is one', async () => {
    vi.stubGlobal('WebSocket', undefined);
    const { url, clients } = await startRelay();
    await expect(connectWebSocketPort(url, { clock: outsideClock })).rejects.toThrow('no global WebSocket');
    vi.stubGlobal('WebSocket', WebSocket);
    const port = await connectWebSocketPort(url, { clock: outsideClock });
    await until(() => clients.length === 1);
    port.close!();
  });
});
