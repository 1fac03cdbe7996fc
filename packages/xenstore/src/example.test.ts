import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { connectInMemory, LocalXenstore, XenstoreClient, XenstoreServer } from './index.js';

it('the example of the README', async () => {
  // <example>
  const server = new XenstoreServer();

  // A toolstack in the same process: synchronous, may do everything.
  const tools = new LocalXenstore(server);
  tools.mkdir('/local/domain/1/control/shutdown');
  tools.setPermissions('/local/domain/1/control/shutdown', [{ domid: 1, access: 'n' }]);

  // A guest: promises, over any transport.
  const guest = new XenstoreClient(connectInMemory(server, 1));
  const orders: string[] = [];
  for await (const path of guest.watch('control/shutdown')) {
    const order = await guest.read(path);
    orders.push(order);
    if (order === '') tools.write('/local/domain/1/control/shutdown', 'poweroff');
    else break;
  }
  await guest.transaction(async (transaction) => {
    if ((await transaction.read('control/shutdown')) === 'poweroff') {
      await transaction.write('control/shutdown', '');
    }
  });
  // </example>
  expect(orders).toEqual(['', 'poweroff']);
  expect(tools.read('/local/domain/1/control/shutdown')).toBe('');
});

it('the README shows this very code', () => {
  const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
  const example = /```ts\n([\s\S]*?)```/.exec(read('../README.md'))![1]!.trim();
  const code = /\/\/ <example>\n([\s\S]*?)\n *\/\/ <\/example>/.exec(read('./example.test.ts'))![1]!;
  expect(code.replace(/^ {2}/gm, '')).toBe(example);
});
