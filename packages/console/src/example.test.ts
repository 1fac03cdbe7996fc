import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ConsoleBackend, ConsoleFrontend } from './index.js';
import { testGuest } from './test-guest.js';

it('the example of the README', () => {
  const { page, eventChannels } = testGuest();
  const port = 5;
  // <example>
  const screen: string[] = [];
  const backend = new ConsoleBackend({
    page, // the guest's console page, mapped by grant
    port, // bound to the guest's console port
    eventChannels,
    sink: { onOutput: (bytes) => screen.push(new TextDecoder().decode(bytes)) },
  });

  // The guest's side, here in TypeScript, too.
  const frontend = new ConsoleFrontend(page, () => backend.service());
  frontend.write(new TextEncoder().encode('login: '));
  backend.send(new TextEncoder().encode('root\n'));
  const typed = new TextDecoder().decode(frontend.read());
  // </example>
  expect([screen, typed]).toEqual([['login: '], 'root\n']);
});

it('the README shows this very code', () => {
  const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
  const example = /```ts\n([\s\S]*?)```/.exec(read('../README.md'))![1]!.trim();
  const code = /\/\/ <example>\n([\s\S]*?)\n *\/\/ <\/example>/.exec(read('./example.test.ts'))![1]!;
  expect(code.replace(/^ {2}/gm, '')).toBe(example);
});
