import { readFileSync } from 'node:fs';
import { helloKernel } from '@xenolith/guest-kernels';
import { expect, it } from 'vitest';
import { createHost, loadKernel } from './index.js';

it('runs the example of the README', async () => {
  const host = await createHost({ memoryMiB: 16, clock: 'virtual' });
  let output = '';
  const guest = host.createDomain({
    kernel: loadKernel(helloKernel), // ELF or bzImage, packed or not: the file's bytes
    memoryMiB: 8,
    onConsole: (bytes) => {
      output += new TextDecoder().decode(bytes);
    },
  });
  guest.unpause();
  await host.run();
  const { reason } = await guest.ended;

  expect(output).toBe('Hello from a Xen guest.\r\n');
  expect(reason).toBe('poweroff');
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const block = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
  const source = readFileSync(new URL(import.meta.url), 'utf8').replace(/^ {2}/gm, '');
  expect(source).toContain(block.trim());
});
