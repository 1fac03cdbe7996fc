import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { linuxLikeElf } from '../test/images.js';
import { ArrayTarget, buildPvDomain, parsePvKernel, unpackKernel } from './index.js';

it("README's example runs", () => {
  const file = linuxLikeElf();
  const lines: string[] = [];
  const console = { log: (line: string) => lines.push(line) };

  const { image } = unpackKernel(file);
  const kernel = parsePvKernel(image);

  const target = new ArrayTarget(64 * 256); // 64 MiB, in an array: your own BuildTarget goes here
  const domain = buildPvDomain(target, {
    kernel,
    cmdline: 'console=hvc0',
    sharedInfoMfn: 0x1234,
    storeEvtchn: 1,
    consoleEvtchn: 2,
  });
  console.log(`starts at 0x${domain.entry.toString(16)}, CR3 is frame ${domain.l4Mfn}`);

  expect(lines).toEqual(['starts at 0xffffffff80100040, CR3 is frame 262']);
});

it('is the example of the README', () => {
  const flat = (text: string): string => text.replace(/^\s+/gm, '');
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const example = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
  expect(flat(readFileSync(new URL(import.meta.url), 'utf8'))).toContain(flat(example));
});
