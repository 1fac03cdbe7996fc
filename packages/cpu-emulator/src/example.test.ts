import { readFileSync } from 'node:fs';
import { FRAME, MachineMemory } from '@xenolith/mmu';
import { expect, test } from 'vitest';
import { compileInterpreter, Exit, X86Processor } from './index.js';

// biome-ignore format: as in the README
async function example() {
const machine = new MachineMemory(16);
const cpu = new X86Processor(machine, await compileInterpreter());

// Domain 1 owns five frames: code, and four page tables that map it at linear address 0.
const [code, l1, l2, l3, l4] = [0, 1, 2, 3, 4].map((i) => machine.firstFrame + i);
for (const mfn of [code, l1, l2, l3, l4]) machine.view.setUint16(machine.entry(mfn) + FRAME.owner, 1, true);
const pages = [code, l1, l2, l3, l4];
for (let i = 1; i < 5; i++) machine.view.setBigUint64(pages[i] * 4096, BigInt(pages[i - 1] * 4096) | 7n, true);

machine.frame(code).set([0x48, 0x01, 0xd8, 0x0f, 0x05]); // add rax, rbx; syscall
cpu.setDomain(1);
cpu.loadAddressSpace(l4);
cpu.regs.rip = 0n;
cpu.regs.gpr[0] = 40n;
cpu.regs.gpr[3] = 2n;
const exit = cpu.run(1000); // Exit.syscall, in front of it; one instruction retired, rax is 42
return { exit, retired: cpu.retired, rax: cpu.regs.gpr[0], rip: cpu.regs.rip };
}

test('the README’s example does what it says', async () => {
  expect(await example()).toEqual({ exit: Exit.syscall, retired: 1, rax: 42n, rip: 3n });
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const block = /## Example[\s\S]*?```ts\n([\s\S]*?)```/.exec(readme)?.[1];
  expect(block).toBeDefined();
  expect(readFileSync(new URL(import.meta.url), 'utf8')).toContain(block);
});
