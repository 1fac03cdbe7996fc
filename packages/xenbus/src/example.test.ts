import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');

it('the examples of the README are those that the tests run', () => {
  const examples = [...read('../README.md').matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code);
  expect(examples).toEqual(['../test/vrng.ts', '../test/vrng.test.ts'].map(read));
});
