import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { GrantMapping, Guest } from './index.js';

it('the example of the README', () => {
  // <example>
  /** Adds up the bytes of a page that another domain granted, each time it sends an event. */
  function startSummer(guest: Guest, domid: number, ref: number, remotePort: number): () => void {
    const page = guest.grants.map(domid, ref);
    if (typeof page === 'number') throw new Error(`Mapping failed: GNTST ${page}`);
    const port = guest.eventChannels.bindInterdomain(domid, remotePort);
    guest.eventChannels.onEvent(port, () => {
      // The granter may have died since.
      if (!page.live) return;
      // A copy: what is checked and what is used are the same bytes.
      const data = page.read(4, 4092);
      page.writeU32(
        0,
        data.reduce((sum, byte) => sum + byte, 0),
      );
      guest.eventChannels.send(port);
    });
    return () => {
      guest.eventChannels.close(port);
      guest.grants.unmap(page);
    };
  }
  // </example>

  const view = new DataView(new ArrayBuffer(4096));
  let live = true;
  const page = {
    get live() {
      return live;
    },
    read: (offset: number, length: number) => new Uint8Array(view.buffer.slice(offset, offset + length)),
    writeU32: (offset: number, value: number) => view.setUint32(offset, value, true),
  } as GrantMapping;
  const log: string[] = [];
  let event = () => {};
  const guest = {
    domid: 0,
    grants: { map: () => page, unmap: () => log.push('unmap') },
    eventChannels: {
      bindInterdomain: () => 7,
      onEvent: (_: number, handler: () => void) => {
        event = handler;
      },
      send: (port: number) => log.push(`send ${port}`),
      close: (port: number) => log.push(`close ${port}`),
    },
  } as unknown as Guest;
  const stop = startSummer(guest, 1, 8, 3);
  view.setUint8(100, 40);
  view.setUint8(200, 2);
  event();
  expect(view.getUint32(0, true)).toBe(42);
  live = false;
  event();
  stop();
  expect(log).toEqual(['send 7', 'close 7', 'unmap']);
});

it('the README shows this very code', () => {
  const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
  const example = /```ts\n([\s\S]*?)```/.exec(read('../README.md'))![1]!.trim();
  const code = /\/\/ <example>\n([\s\S]*?)\n *\/\/ <\/example>/.exec(read('./example.test.ts'))![1]!;
  expect(code.replace(/^ {2}/gm, '')).toBe(example);
});
