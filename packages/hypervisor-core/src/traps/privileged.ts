import type { PrivilegedInstruction } from '@xenolith/cpu-emulator';
import { CR0, CR4, cr3ToFrame, frameToCr3, GPR, U32, VECTOR, XEN_CR0 } from '../arch/x86.js';
import { loadBreakpoints, setDebugRegister } from '../domain/debug-registers.js';
import type { Running } from '../domain/running.js';
import type { Vcpu } from '../domain/vcpu.js';
import { farTransfer, loadSegment, probeSegment } from './far-transfers.js';
import { emulateCpuid } from './forced-invalid-op.js';
import { injectException, instructionDone } from './inject.js';
import { ioplAllows, portIn, portOut, stringIo } from './io-ports.js';
import { readMsr, writeMsr } from './msrs.js';
import { storeTable, storeWord } from './table-registers.js';

/**
 * What became of an instruction: carried out (step over it), one round of it (come back to it), `gp` or `ud` for the guest,
 * or `handled` (rip is right).
 */
export type Outcome = 'done' | 'again' | 'gp' | 'ud' | 'handled';

/** CR4 bits that a guest may choose, and those of Xen's that it sees (PV_CR4_GUEST_MASK, PV_CR4_GUEST_VISIBLE_MASK). */
const CR4_GUEST = CR4.tsd | CR4.de;
const CR4_VISIBLE = CR4.pae | CR4.osfxsr | CR4.osxmmexcpt;
export const fixupCr4 = (value: bigint): bigint => (value & CR4_GUEST) | CR4_VISIBLE;

/** Sets or clears CR0.TS as the guest sees it. */
export function setTaskSwitched(run: Running, vcpu: Vcpu, set: boolean): void {
  vcpu.cr0 = set ? vcpu.cr0 | CR0.ts : vcpu.cr0 & ~CR0.ts;
  run.cpu.taskSwitched = set;
}

/**
 * An instruction that ring 3 may not execute: emulated as far as Xen does it for PV guests
 * (xen/arch/x86/pv/emul-priv-op.c), else the exception that the processor or Xen gives.
 */
export function handlePrivileged(
  run: Running,
  vcpu: Vcpu,
  insn: PrivilegedInstruction,
  length: number,
): void {
  const { regs } = run.cpu;
  const { rip } = regs;
  vcpu.returnsBySysret = false;
  if (insn.op === 'cpuid') {
    emulateCpuid(run, vcpu, length);
    return;
  }
  vcpu.recent.record(
    2,
    2,
    'port' in insn ? BigInt(insn.port) : 'index' in insn ? BigInt(insn.index) : 0n,
    rip,
  );
  const outcome = emulate(run, vcpu, insn, BigInt.asUintN(64, rip + BigInt(length)));
  if (run.trace.wants('emulate')) {
    const { op, ...operands } = insn;
    run.trace.emit({
      class: 'emulate',
      domid: vcpu.domain.domid,
      vcpu: vcpu.vcpuId,
      name: op,
      args: { rip, ...(operands as Record<string, number | bigint>) },
      ...(outcome === 'gp' || outcome === 'ud' ? { result: `#${outcome.toUpperCase()}` } : {}),
    });
  }
  if (outcome === 'done') instructionDone(run, vcpu, BigInt.asUintN(64, rip + BigInt(length)));
  else if (outcome === 'again') instructionDone(run, vcpu, rip);
  else if (outcome === 'gp') injectException(run, vcpu, VECTOR.generalProtection, 0);
  else if (outcome === 'ud') injectException(run, vcpu, VECTOR.invalidOpcode);
}

function emulate(run: Running, vcpu: Vcpu, insn: PrivilegedInstruction, next: bigint): Outcome {
  const { gpr } = run.cpu.regs;
  switch (insn.op) {
    case 'in':
      return portIn(run, vcpu, insn.port, insn.size);
    case 'out':
      return portOut(run, vcpu, insn.port, insn.size);
    case 'ins':
    case 'outs':
      return stringIo(run, vcpu, insn);
    case 'rdmsr': {
      const value = readMsr(run, vcpu, insn.index);
      if (value === undefined) return 'gp';
      gpr[GPR.rax] = value & U32;
      gpr[GPR.rdx] = value >> 32n;
      return 'done';
    }
    case 'wrmsr': {
      const value = (gpr[GPR.rax]! & U32) | ((gpr[GPR.rdx]! & U32) << 32n);
      return writeMsr(run, vcpu, insn.index, value) ? 'done' : 'gp';
    }
    case 'readCr':
      return readCr(run, vcpu, insn.register, insn.gpr);
    case 'writeCr':
      return writeCr(run, vcpu, insn.register, gpr[insn.gpr]!);
    case 'readDr':
      return readDr(run, vcpu, insn.register, insn.gpr);
    case 'writeDr':
      return writeDr(run, vcpu, insn.register, gpr[insn.gpr]!);
    case 'clts':
      if (!vcpu.kernelMode) return 'gp';
      setTaskSwitched(run, vcpu, false);
      return 'done';
    case 'wbinvd':
      return vcpu.kernelMode ? 'done' : 'gp';
    case 'cli':
    case 'sti':
      // Allowed by IOPL, but the upcall mask stays as it is.
      return ioplAllows(vcpu) ? 'done' : 'gp';
    case 'loadSegment':
      return loadSegment(run, vcpu, insn);
    case 'sgdt':
    case 'sidt':
      return storeTable(run, vcpu, insn);
    case 'sldt':
    case 'str':
    case 'smsw':
      return storeWord(run, vcpu, insn);
    case 'lar':
    case 'lsl':
    case 'verr':
    case 'verw':
      return probeSegment(run, vcpu, insn);
    case 'farJump':
    case 'farCall':
    case 'farReturn':
    case 'iret':
      return farTransfer(run, vcpu, insn, next);
    case 'xsetbv':
    case 'vmcall':
    case 'monitor':
    case 'mwait':
    case 'sysenter':
      return 'ud';
    default:
      return 'gp';
  }
}

function readCr(run: Running, vcpu: Vcpu, register: number, gpr: number): Outcome {
  if (!vcpu.kernelMode) return 'gp';
  const values: Record<number, bigint> = {
    0: vcpu.cr0,
    2: vcpu.cr2,
    3: frameToCr3(vcpu.guestTable),
    4: vcpu.cr4,
  };
  const value = values[register];
  if (value === undefined) return 'gp';
  run.cpu.regs.gpr[gpr] = value;
  return 'done';
}

function writeCr(run: Running, vcpu: Vcpu, register: number, value: bigint): Outcome {
  if (!vcpu.kernelMode) return 'gp';
  switch (register) {
    case 0:
      if ((value ^ XEN_CR0) & ~CR0.ts) return 'gp';
      setTaskSwitched(run, vcpu, (value & CR0.ts) !== 0n);
      return 'done';
    case 2:
      vcpu.cr2 = value;
      run.info.setCr2(vcpu, value);
      return 'done';
    case 3: {
      const frame = cr3ToFrame(value);
      if (frame === 0n || frame >= BigInt(run.memory.machine.frames)) return 'gp';
      return run.memory.setBase(vcpu, Number(frame)) === 0 ? 'done' : 'gp';
    }
    case 4:
      vcpu.cr4 = fixupCr4(value);
      return 'done';
    default:
      return 'gp';
  }
}

function readDr(run: Running, vcpu: Vcpu, register: number, gpr: number): Outcome {
  if (!vcpu.kernelMode) return 'gp';
  if ((register === 4 || register === 5) && vcpu.cr4 & CR4.de) return 'ud';
  if (register > 7) return 'ud';
  const value = register < 4 ? vcpu.dr[register]! : register & 1 ? vcpu.dr7 : vcpu.dr6;
  run.cpu.regs.gpr[gpr] = value;
  return 'done';
}

function writeDr(run: Running, vcpu: Vcpu, register: number, value: bigint): Outcome {
  if (!vcpu.kernelMode) return 'gp';
  switch (setDebugRegister(vcpu, register, value)) {
    case 0:
      loadBreakpoints(run.cpu, vcpu);
      return 'done';
    case 'absent':
      return 'ud';
    default:
      return 'gp';
  }
}
