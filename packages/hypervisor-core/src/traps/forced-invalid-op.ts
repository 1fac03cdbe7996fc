import { GPR } from '../arch/x86.js';
import { guestCpuid } from '../cpuid/cpuid.js';
import type { Running } from '../domain/running.js';
import type { Vcpu } from '../domain/vcpu.js';
import { injectPageFault, instructionDone } from './inject.js';

/** UD2 followed by "xen", and the only instruction that is emulated behind it. */
const SIGNATURE = [0x0f, 0x0b, 0x78, 0x65, 0x6e];
const CPUID = [0x0f, 0xa2];

/**
 * The forced emulation prefix (XEN_EMULATE_PREFIX of the public headers): true when the instruction at rip was a CPUID
 * behind it, or when it could not be read and the guest got a page fault for that.
 */
export function emulateForcedInstruction(run: Running, vcpu: Vcpu): boolean {
  const { regs } = run.cpu;
  const { rip } = regs;
  for (const [offset, want] of [...SIGNATURE, ...CPUID].entries()) {
    const at = BigInt.asUintN(64, rip + BigInt(offset));
    const byte = run.access.copyFrom(at, 1);
    if (!byte) {
      injectPageFault(run, vcpu, 0, at);
      return true;
    }
    if (byte[0] !== want) return false;
  }
  emulateCpuid(run, vcpu, SIGNATURE.length + CPUID.length);
  return true;
}

export function emulateCpuid(run: Running, vcpu: Vcpu, length: number): void {
  const { gpr, rip } = run.cpu.regs;
  const leaf = Number(BigInt.asUintN(32, gpr[GPR.rax]!));
  const subleaf = Number(BigInt.asUintN(32, gpr[GPR.rcx]!));
  const [a, b, c, d] = guestCpuid(run, leaf, subleaf);
  gpr[GPR.rax] = BigInt(a >>> 0);
  gpr[GPR.rbx] = BigInt(b >>> 0);
  gpr[GPR.rcx] = BigInt(c >>> 0);
  gpr[GPR.rdx] = BigInt(d >>> 0);
  vcpu.recent.record(2, 0, BigInt(leaf), rip);
  if (run.trace.wants('emulate')) {
    run.trace.emit({
      class: 'emulate',
      domid: vcpu.domain.domid,
      vcpu: vcpu.vcpuId,
      name: 'cpuid',
      args: { rip, leaf, subleaf },
    });
  }
  instructionDone(run, vcpu, BigInt.asUintN(64, rip + BigInt(length)));
}
