import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { GrantTables } from './index.js';
import { TestMapper, TestMemory } from './testing.js';

it('the example of the README', () => {
  const memory = new TestMemory();
  const mapper = new TestMapper();
  // <example>
  const grants = new GrantTables(memory, mapper);
  grants.addDomain({ domid: 0, vcpus: 1, privileged: true, translated: true });
  grants.addDomain({ domid: 1, vcpus: 1 });
  grants.writeEntry(1, 8, 0, 20); // Domain 1 lets domain 0 use its frame 20, by reference 8.

  const page = grants.mapForNative(0, 1, 8, false);
  if (typeof page === 'number') throw new Error(`GNTST ${page}`);
  page.write(0, new TextEncoder().encode('hello'));
  const inUse = !grants.isIdle(1);
  grants.setDying(1); // Revokes the mapping: later uses throw GrantRevokedError.
  const live = page.live;
  // </example>
  expect(new TextDecoder().decode(memory.bytes.slice(20 * 4096, 20 * 4096 + 5))).toBe('hello');
  expect([inUse, live]).toEqual([true, false]);
});

it('the README shows this very code', () => {
  const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
  const example = /```ts\n([\s\S]*?)```/.exec(read('../README.md'))![1]!.trim();
  const flat = (text: string) => text.replace(/\s+/g, ' ');
  expect(flat(read('./example.test.ts'))).toContain(flat(example));
});
