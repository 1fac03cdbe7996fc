import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { BackRing, FrontRing, viewMemory } from './index.js';

it('the example of the README', () => {
  // <example>
  // A page that both ends see.
  const page = viewMemory(new DataView(new ArrayBuffer(4096)));

  // Slots of 112 bytes, as struct blkif_request has: 32 of them in a page.
  const front = new FrontRing(page, { slotSize: 112 });
  const back = new BackRing(page, { slotSize: 112 });

  front.put(new Uint8Array([0x42]));
  const notifyBack = front.push();

  const served: number[] = [];
  do {
    for (let request = back.take(); request; request = back.take()) {
      served.push(request[0]!);
      back.put(new Uint8Array([request[0]! + 1]));
    }
  } while (back.finalCheck());
  const notifyFront = back.push();
  const response = front.take();
  // </example>
  expect([served, notifyBack, notifyFront, response?.[0]]).toEqual([[0x42], true, true, 0x43]);
});

it('the README shows this very code', () => {
  const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
  const example = /```ts\n([\s\S]*?)```/.exec(read('../README.md'))![1]!.trim();
  const code = /\/\/ <example>\n([\s\S]*?)\n *\/\/ <\/example>/.exec(read('./example.test.ts'))![1]!;
  expect(code.replace(/^ {2}/gm, '')).toBe(example);
});
