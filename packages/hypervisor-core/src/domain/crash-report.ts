import { SEG } from '../arch/x86.js';
import type { CrashReport } from './domain.js';
import type { Running } from './running.js';
import type { Vcpu } from './vcpu.js';

const CODE_BYTES = 15;
const STACK_WORDS = 16;

/** What the running vCPU looks like at the moment of its domain's crash. */
export function reportCrash(run: Running, vcpu: Vcpu, reason: string): CrashReport {
  const { regs } = run.cpu;
  const code: number[] = [];
  for (let i = 0; i < CODE_BYTES; i++) {
    const byte = run.access.copyFrom(BigInt.asUintN(64, regs.rip + BigInt(i)), 1);
    if (!byte) break;
    code.push(byte[0]!);
  }
  const stack: bigint[] = [];
  for (let i = 0; i < STACK_WORDS; i++) {
    const word = run.access.readU64(BigInt.asUintN(64, regs.gpr[4]! + BigInt(i * 8)));
    if (word === undefined) break;
    stack.push(word);
  }
  return {
    reason,
    vcpu: vcpu.vcpuId,
    gpr: [...regs.gpr],
    rip: regs.rip,
    rflags: regs.rflags,
    selectors: [...regs.selectors].slice(0, SEG.gs + 1),
    fsBase: regs.fsBase,
    gsBase: regs.gsBase,
    cr2: vcpu.cr2,
    cr3: BigInt(vcpu.kernelMode ? vcpu.guestTable : vcpu.guestTableUser),
    kernelMode: vcpu.kernelMode,
    code: Uint8Array.from(code),
    stack,
    recent: vcpu.recent.list(),
  };
}
