import type { Processor } from '@xenolith/cpu-emulator';

/** Initial registers of a vCPU, as `VCPUOP_initialise` or the domain builder give them. */
export interface InitialRegisters {
  /** rax rcx rdx rbx rsp rbp rsi rdi r8…r15 */
  readonly gpr: readonly bigint[];
  readonly rip: bigint;
  readonly rflags: bigint;
  /** ES CS SS DS FS GS */
  readonly selectors: readonly number[];
  readonly fsBase: bigint;
  readonly gsBase: bigint;
  /** FXSAVE image of 512 bytes when VGCF_I387_VALID was set. */
  readonly fpu?: Uint8Array;
}

/** Puts the registers of a vCPU that has never run into the processor. */
export function loadInitialRegisters(cpu: Processor, initial: InitialRegisters): void {
  const { regs } = cpu;
  cpu.resetState();
  initial.gpr.forEach((value, n) => {
    regs.gpr[n] = value;
  });
  regs.rip = initial.rip;
  regs.rflags = initial.rflags;
  initial.selectors.forEach((value, n) => {
    regs.selectors[n] = value;
  });
  regs.fsBase = initial.fsBase;
  regs.gsBase = initial.gsBase;
  regs.cpl = 3;
  regs.long = true;
  if (initial.fpu) {
    regs.loadFxImage(initial.fpu);
  }
}
