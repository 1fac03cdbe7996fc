import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { i64, ModuleBuilder } from './index.js';

// biome-ignore format: as in the README
async function example() {
const m = new ModuleBuilder();
// (n: i64) → i64: the sum of 1 … n
const sum = m.function(['i64'], ['i64'], (f) => {
  const n = f.param('i64', 0);
  const total = f.local('i64');
  f.loop((again) => {
    f.set(total, i64.add(total, n));
    f.set(n, i64.sub(n, i64.const(1)));
    f.brIf(again, i64.ne(n, i64.const(0)));
  });
  f.push(total);
});
m.export('sum', sum);
const { instance } = await WebAssembly.instantiate(m.toBytes());
const call = instance.exports.sum as (n: bigint) => bigint;
const result = call(100n); // 5050n
return result;
}

test('the README’s example does what it says', async () => {
  expect(await example()).toBe(5050n);
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const block = /# @xenolith[\s\S]*?```ts\n([\s\S]*?)```/.exec(readme)?.[1];
  expect(block).toBeDefined();
  expect(readFileSync(new URL(import.meta.url), 'utf8')).toContain(block);
});
