import { FLAG, VECTOR } from '../arch/x86.js';
import type { Running } from '../domain/running.js';
import type { Vcpu } from '../domain/vcpu.js';
import { emulatePtWrite, ptWriteFrame } from '../memory/index.js';
import { injectException, injectPageFault } from './inject.js';

const PAGE = 4096;

/**
 * A store of the guest's kernel into one of its L1 tables, which it maps read-only, is carried out as a checked update of
 * one entry (xen/arch/x86/pv/ro-page-fault.c). The processor runs the one instruction against a copy of the table; the
 * entry that changed goes the way of any page-table update. Returns whether the fault has been dealt with; false: it is
 * the guest's.
 */
export function emulateTableWrite(run: Running, vcpu: Vcpu, address: bigint): boolean {
  const { cpu, memory } = run;
  if (!cpu.emulateWrite) return false;
  const { u32, bytes } = memory.machine;
  const table = ptWriteFrame(memory, vcpu, address);
  if (table === 0) return false;
  const { domid } = vcpu.domain;

  const { scratchFrame } = run;
  const from = table * PAGE;
  const to = scratchFrame * PAGE;
  bytes.copyWithin(to, from, from + PAGE);
  const { rip, rflags } = cpu.regs;
  const gpr = cpu.regs.gpr.slice();
  if (!cpu.emulateWrite(address & ~0xfffn, scratchFrame)) return false;
  // From here on the instruction has been executed, but must not seem to be when the update is refused.
  const undo = () => {
    cpu.regs.rip = rip;
    cpu.regs.rflags = rflags;
    cpu.regs.gpr.set(gpr);
  };
  vcpu.recent.record(2, 1, address, rip);
  if (run.trace.wants('emulate')) {
    run.trace.emit({ class: 'emulate', domid, vcpu: vcpu.vcpuId, name: 'ptwr', args: { rip, address } });
  }
  const entry = Number(address & 0xff8n);
  // Only a store within one entry is possible: the one at the faulting address.
  for (let word = 0; word < PAGE / 4; word++) {
    if (word >> 1 !== entry >> 3 && u32[from / 4 + word] !== u32[to / 4 + word]) {
      undo();
      return false;
    }
  }
  if (!emulatePtWrite(memory, vcpu, address & ~7n, bytes.slice(to + entry, to + entry + 8))) {
    undo();
    injectPageFault(run, vcpu, 3, address);
    return true;
  }
  // Xen says nothing in DR6 of a single step here.
  if (cpu.regs.rflags & FLAG.tf) injectException(run, vcpu, VECTOR.debug);
  return true;
}
