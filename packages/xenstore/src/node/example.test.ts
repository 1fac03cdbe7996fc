import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { XenstoreClient, XenstoreServer } from '../index.js';
import { connectSocket, serveSocket } from './index.js';

const directory = mkdtempSync(join(tmpdir(), 'xenstore-'));
afterAll(() => rmSync(directory, { recursive: true }));

it('the example of the README, over a socket', async () => {
  const path = join(directory, 'xenstore');
  // <example>
  const socket = await serveSocket(new XenstoreServer(), path); // now XENSTORED_PATH=… xenstore-ls works, too

  const backend = new XenstoreClient(await connectSocket(path)); // without a path: this host's own xenstored
  const connected = backend.wait('/local/domain/1/device/vif/0/state', (state) => state === '4');

  const frontend = new XenstoreClient(await connectSocket(path));
  await frontend.transaction(async (transaction) => {
    await transaction.write('/local/domain/1/device/vif/0/event-channel', '9');
    await transaction.write('/local/domain/1/device/vif/0/state', '4');
  });
  console.log(await connected, await backend.list('/local/domain/1/device/vif/0'));
  await socket.close();
  // </example>
  expect(await connected).toBe('4');
});

it('the README shows this very code', () => {
  const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
  const blocks = [...read('../../README.md').matchAll(/```ts\n([\s\S]*?)```/g)].map((match) =>
    match[1]!.trim(),
  );
  const code = /\/\/ <example>\n([\s\S]*?)\n *\/\/ <\/example>/.exec(read('./example.test.ts'))![1]!;
  expect(blocks).toContain(code.replace(/^ {2}/gm, ''));
});
