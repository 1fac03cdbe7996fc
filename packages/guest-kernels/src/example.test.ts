import { readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';
import { demoKernel, helloKernel } from './index.js';

it('the example of the README', () => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  // <example>
  const entry = (image: Uint8Array) => new DataView(image.buffer).getBigUint64(24, true).toString(16);
  console.log(`hello: ${helloKernel.length} bytes, entry ${entry(helloKernel)}`);
  console.log(`demo: ${demoKernel.length} bytes, entry ${entry(demoKernel)}`);
  // </example>
  expect(log.mock.calls.flat()).toEqual([
    expect.stringMatching(/^hello: \d+ bytes, entry ffffffff80000000$/),
    expect.stringMatching(/^demo: \d+ bytes, entry ffffffff80000000$/),
  ]);
  log.mockRestore();
});

it('the README shows this very code', () => {
  const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
  const example = /```ts\n([\s\S]*?)```/
    .exec(read('../README.md'))![1]!
    .replace(/^import.*\n/gm, '')
    .trim();
  const flat = (text: string) => text.replace(/\s+/g, ' ');
  expect(flat(read('./example.test.ts'))).toContain(flat(example));
});
