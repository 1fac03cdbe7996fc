import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { addDevice, type BackendDriver, serveBackends } from './index.js';
import { Fabric, settle } from './testing/index.js';

it('the example of the README', async () => {
  const fabric = new Fabric();
  const frontGuest = fabric.addGuest(1);
  const backGuest = fabric.addGuest(2);
  const { toolstack, store } = fabric;
  let rings = 0;
  // <example>
  /** A backend whose device counts how often its frontend rings. */
  const bells: BackendDriver = {
    type: 'bell',
    async probe(end) {
      await end.own.write({ 'feature-loud': 1 });
      let port = -1;
      return {
        // The frontend has written its port, and waits.
        async connect() {
          const remotePort = await end.other.number('event-channel');
          port = backGuest.eventChannels.bindInterdomain(end.otherId, remotePort);
          backGuest.eventChannels.onEvent(port, () => rings++);
        },
        // It closes, has died, or starts again.
        async disconnect() {
          backGuest.eventChannels.close(port);
        },
      };
    },
  };
  const served = serveBackends(backGuest, bells);

  // A toolstack plugs a device in, and both ends find it.
  await addDevice(toolstack, { type: 'bell', id: 0, frontendId: 1, backendId: 2 });
  // </example>
  await settle();
  const backend = '/local/domain/2/backend/bell/1/0';
  expect([store.read(`${backend}/state`), store.read(`${backend}/feature-loud`)]).toEqual(['2', '1']);
  const port = frontGuest.eventChannels.allocUnbound(2);
  await frontGuest.xenstore.write('/local/domain/1/device/bell/0/event-channel', String(port));
  await frontGuest.xenstore.write('/local/domain/1/device/bell/0/state', '3');
  await settle();
  rings = 0;
  frontGuest.eventChannels.send(port);
  await settle();
  expect([store.read(`${backend}/state`), rings]).toEqual(['4', 1]);
  await served.stop();
  expect(backGuest.openPorts).toBe(0);
});

it('the README shows this very code', () => {
  const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
  const example = /```ts\n([\s\S]*?)```/.exec(read('../README.md'))![1]!.trim();
  const code = /\/\/ <example>\n([\s\S]*?)\n *\/\/ <\/example>/.exec(read('./example.test.ts'))![1]!;
  expect(code.replace(/^ {2}/gm, '')).toBe(example);
});
