import { FLAT_KERNEL_CS, FLAT_KERNEL_SS, FLAT_USER_CS32 } from '@xenolith/xen-abi';
import { FLAG, GPR, SEG, VECTOR } from '../arch/x86.js';
import type { Running } from '../domain/running.js';
import type { Vcpu } from '../domain/vcpu.js';
import { createBounceFrame } from './bounce-frame.js';
import { injectException } from './inject.js';

/**
 * Entry by SYSCALL, as Xen's entry code leaves it: RCX and R11 as the instruction sets them, flat CS and SS. Afterwards
 * the caller makes a hypercall of it (kernel mode) or calls `bounceSyscall` (user mode).
 */
export function enterBySyscall(run: Running, vcpu: Vcpu, length: number): void {
  const { regs } = run.cpu;
  const next = BigInt.asUintN(64, regs.rip + BigInt(length));
  regs.gpr[GPR.rcx] = next;
  regs.gpr[GPR.r11] = regs.rflags;
  regs.rip = next;
  regs.selectors[SEG.cs] = regs.long ? FLAT_KERNEL_CS : FLAT_USER_CS32;
  regs.selectors[SEG.ss] = FLAT_KERNEL_SS;
  vcpu.returnsBySysret = true;
}

/** A system call from user mode: into the callback that the kernel registered; without one it is an invalid opcode. */
export function bounceSyscall(run: Running, vcpu: Vcpu, length: number): void {
  const { regs } = run.cpu;
  const callback = regs.long ? vcpu.syscall : vcpu.syscall32;
  if (callback.address === 0n) {
    regs.rip = BigInt.asUintN(64, regs.rip - BigInt(length));
    injectException(run, vcpu, VECTOR.invalidOpcode);
    return;
  }
  // Only the 64-bit callback's flag is looked at, for both.
  if (createBounceFrame(run, vcpu, { address: callback.address, masksEvents: vcpu.syscall.masksEvents })) {
    regs.rflags = regs.rflags & ~FLAG.df;
  }
}
