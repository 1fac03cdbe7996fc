import { readFileSync } from 'node:fs';
import { compileInterpreter, X86Processor } from '@xenolith/cpu-emulator';
import type { HostInputs } from '@xenolith/host-interface';
import { MachineMemory } from '@xenolith/mmu';
import {
  FLAT_KERNEL_CS64,
  FLAT_KERNEL_SS64,
  VcpuGuestContext,
  VGCF_in_kernel,
  VGCF_online,
} from '@xenolith/xen-abi';
import { expect, it } from 'vitest';
import { createDomain, Hypervisor, setInfoGuest } from './index.js';

it('runs the example of the README', async () => {
  const lines: string[] = [];
  const console = { log: (line: string) => lines.push(line) };
  const inputs: HostInputs = { monotonicNs: () => 0, wallclockNs: () => 0n, randomFill() {} };

  const machine = new MachineMemory(4096);
  const processor = new X86Processor(machine, await compileInterpreter());
  const onShutdown = ({ name }: { name: string }, reason: number) => console.log(`${name} ended: ${reason}`);
  const hv = new Hypervisor({ processor, machine, inputs, onShutdown });
  const domain = createDomain(hv, { name: 'tiny', memoryPages: 16, vcpus: 1 });

  // Page tables in pages 1 to 4 map page 0 at linear address 0: read-only, as tables may not be mapped writable.
  const { p2m } = domain;
  const entry = (table: number, pfn: number) =>
    machine.view.setBigUint64(p2m[table] * 4096, (BigInt(p2m[pfn]) << 12n) | 5n, true);
  for (const [table, pfn] of [
    [1, 2],
    [2, 3],
    [3, 4],
    [4, 0],
  ])
    entry(table, pfn);

  // sched_op(SCHEDOP_shutdown, &reason): mov $29,%eax; mov $2,%edi; mov $16,%esi; syscall. The reason is the word at 16.
  machine.bytes.set([0xb8, 29, 0, 0, 0, 0xbf, 2, 0, 0, 0, 0xbe, 16, 0, 0, 0, 0x90], p2m[0] * 4096 + 32);
  machine.bytes.set([0x0f, 0x05], p2m[0] * 4096 + 48);

  const context = VcpuGuestContext.create();
  context.flags = BigInt(VGCF_in_kernel | VGCF_online);
  context.user_regs.rip = 32n;
  context.user_regs.cs = FLAT_KERNEL_CS64;
  context.user_regs.ss = FLAT_KERNEL_SS64;
  context.ctrlreg.set(3, BigInt(p2m[1]) << 12n);
  setInfoGuest(hv, domain.vcpus[0], context);
  hv.unpauseDomain(domain);
  hv.run();
  // tiny ended: 0

  expect(lines).toEqual(['tiny ended: 0']);
  expect(hv.retired).toBe(5);
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const block = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
  const source = readFileSync(new URL(import.meta.url), 'utf8').replace(/^ {2}/gm, '');
  expect(source).toContain(block.trim());
});
