import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

/** A relay for raw frames on the loopback: each goes to all others, as on a hub. */
export async function startRelay(): Promise<{ url: string; frames: Uint8Array[]; close(): void }> {
  const relay = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await new Promise((resolve) => relay.once('listening', resolve));
  const frames: Uint8Array[] = [];
  relay.on('connection', (from) =>
    from.on('message', (frame: Buffer) => {
      frames.push(frame);
      for (const to of relay.clients) if (to !== from) to.send(frame);
    }),
  );
  const { port } = relay.address() as AddressInfo;
  return { url: `ws://127.0.0.1:${port}/`, frames, close: () => relay.close() };
}
