import type { PrivilegedInstruction } from '@xenolith/cpu-emulator';
import { DESC, FLAG, GPR, isCanonical, SEG, U32, U64, VECTOR } from '../arch/x86.js';
import {
  descriptorBase,
  descriptorDpl,
  descriptorLimit,
  isFault,
  readDescriptor,
  type SegmentFault,
} from '../domain/descriptors.js';
import type { Running } from '../domain/running.js';
import type { Vcpu } from '../domain/vcpu.js';
import { injectPageFault, instructionDone } from './inject.js';
import type { Outcome } from './privileged.js';
import { checkCodeSegment, checkDataSegment, injectSegmentFault } from './segments.js';

type Insn<Op extends PrivilegedInstruction['op']> = Extract<PrivilegedInstruction, { op: Op }>;

const ZF = 1n << 6n;

const raise = (run: Running, vcpu: Vcpu, fault: SegmentFault): Outcome => {
  injectSegmentFault(run, vcpu, fault);
  return 'handled';
};

/** A stack pointer: 32 bits in 32-bit code. */
const stackAddress = (run: Running, value: bigint): bigint => (run.cpu.regs.long ? U64(value) : value & U32);

/** MOV, POP or LDS and its like to a segment register, as a processor at CPL 3 does it with the vCPU's descriptor tables. */
export function loadSegment(run: Running, vcpu: Vcpu, insn: Insn<'loadSegment'>): Outcome {
  const { regs } = run.cpu;
  if (insn.segment === SEG.cs) return 'ud';
  const found = checkDataSegment(run, vcpu, insn.segment, insn.selector);
  if (isFault(found)) return raise(run, vcpu, found);
  regs.selectors[insn.segment] = insn.selector;
  if (insn.segment === SEG.fs) regs.fsBase = BigInt(descriptorBase(found));
  if (insn.segment === SEG.gs) regs.gsBase = BigInt(descriptorBase(found));
  if (insn.popped) regs.gpr[GPR.rsp] = stackAddress(run, regs.gpr[GPR.rsp]! + BigInt(insn.popped));
  if (insn.loaded) {
    const { gpr, value, operandSize } = insn.loaded;
    regs.gpr[gpr] = operandSize === 2 ? (regs.gpr[gpr]! & ~0xffffn) | value : value;
  }
  return 'done';
}

/** System descriptors that LAR and LSL answer for in long mode: LDT, TSS (available, busy), and for LAR the call gate. */
const LAR_SYSTEM = new Set([2, 9, 11, 12]);

/** LAR, LSL, VERR, VERW: ZF tells whether the selector may be used so. */
export function probeSegment(run: Running, vcpu: Vcpu, insn: Insn<'lar' | 'lsl' | 'verr' | 'verw'>): Outcome {
  const { regs } = run.cpu;
  const found = insn.selector & 0xfffc ? readDescriptor(run, vcpu, insn.selector) : undefined;
  if (found && isFault(found) && found.vector === VECTOR.pageFault) return raise(run, vcpu, found);
  let ok = false;
  if (found && !isFault(found)) {
    const { high } = found;
    const code = (high & DESC.code) !== 0;
    const reachable = (code && (high & DESC.conforming) !== 0) || descriptorDpl(found) === 3;
    const segment = (high & DESC.s) !== 0;
    if (insn.op === 'verr') ok = segment && reachable && (!code || (high & DESC.rw) !== 0);
    else if (insn.op === 'verw') ok = segment && reachable && !code && (high & DESC.rw) !== 0;
    else {
      const type = (high >> 8) & 15;
      ok = reachable && (segment || (LAR_SYSTEM.has(type) && !(insn.op === 'lsl' && type === 12)));
    }
    if (ok && (insn.op === 'lar' || insn.op === 'lsl')) {
      const value = BigInt((insn.op === 'lar' ? high & 0x00ff_ff00 : descriptorLimit(found)) >>> 0);
      const old = regs.gpr[insn.gpr]!;
      regs.gpr[insn.gpr] = insn.operandSize === 2 ? (old & ~0xffffn) | (value & 0xffffn) : value & U32;
    }
  }
  const flags = regs.rflags;
  regs.rflags = ok ? flags | ZF : flags & ~ZF;
  return 'done';
}

/** What a far return or an IRET finds on the stack: words of the operand size. */
interface StackFrame {
  rip: bigint;
  cs: number;
  /** IRET only. */
  flags: bigint;
  /** In 64-bit mode IRET always pops these as well. */
  rsp: bigint | undefined;
  ss: number;
  /** RSP behind what was popped. */
  next: bigint;
}

/** JMP, CALL, RET to another code segment and IRET, all within ring 3: that is the only ring that a PV guest has. */
export function farTransfer(
  run: Running,
  vcpu: Vcpu,
  insn: Insn<'farJump' | 'farCall' | 'farReturn' | 'iret'>,
  next: bigint,
): Outcome {
  const { regs } = run.cpu;
  let { selector, offset } = insn;
  let frame: StackFrame | undefined;
  if (insn.op === 'farReturn' || insn.op === 'iret') {
    frame = popFrame(run, insn.op === 'farReturn' ? 2 : regs.long ? 5 : 3, insn.operandSize, insn.pop);
    if (!frame) {
      injectPageFault(run, vcpu, 0, regs.gpr[GPR.rsp]!);
      return 'handled';
    }
    selector = frame.cs;
    offset = frame.rip;
    if ((selector & 3) !== 3) {
      return raise(run, vcpu, { vector: VECTOR.generalProtection, errorCode: selector & 0xfffc });
    }
  }
  const code = checkCodeSegment(run, vcpu, selector);
  if (isFault(code)) return raise(run, vcpu, code);
  const long = (code.high & DESC.long) !== 0;
  const target = long ? offset : offset & U32;
  if (!isCanonical(target)) return 'gp';

  if (frame?.rsp !== undefined) {
    const stack = checkDataSegment(run, vcpu, SEG.ss, frame.ss);
    if (isFault(stack)) return raise(run, vcpu, stack);
    regs.selectors[SEG.ss] = frame.ss;
    regs.gpr[GPR.rsp] = frame.rsp;
  } else if (frame) {
    regs.gpr[GPR.rsp] = frame.next;
  } else if (insn.op === 'farCall') {
    const failed = pushReturn(run, vcpu, insn.operandSize, next);
    if (failed) return failed;
  }
  if (insn.op === 'iret' && frame) {
    const mask = insn.operandSize === 2 ? IRET_FLAGS & 0xffffn : IRET_FLAGS;
    regs.rflags = (regs.rflags & ~mask & ~FLAG.rf) | (frame.flags & mask);
  }
  regs.selectors[SEG.cs] = selector | 3;
  regs.long = long;
  // A TF that IRET loads traps behind the next instruction.
  if (insn.op === 'iret') regs.rip = target;
  else instructionDone(run, vcpu, target);
  return 'handled';
}

/** Flags that IRET at CPL 3 with IOPL 0 may change. */
const IRET_FLAGS = 0x0025_4dd5n;

/** Reads `words` words at RSP: RIP and CS, then RFLAGS, then RSP and SS. undefined: a page fault at RSP. */
function popFrame(run: Running, words: number, size: 2 | 4 | 8, pop: number): StackFrame | undefined {
  const sp = stackAddress(run, run.cpu.regs.gpr[GPR.rsp]!);
  const bytes = run.access.copyFrom(sp, words * size);
  if (!bytes) return undefined;
  const word = (n: number): bigint => {
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[n * size + i]!);
    return value;
  };
  return {
    rip: word(0),
    cs: Number(word(1) & 0xffffn),
    flags: words > 2 ? word(2) : 0n,
    rsp: words > 3 ? word(3) : undefined,
    ss: words > 3 ? Number(word(4) & 0xffffn) : 0,
    next: stackAddress(run, sp + BigInt(words * size + pop)),
  };
}

function pushReturn(run: Running, vcpu: Vcpu, size: 2 | 4 | 8, next: bigint): Outcome | undefined {
  const { regs } = run.cpu;
  const bytes = new Uint8Array(2 * size);
  const view = new DataView(bytes.buffer);
  const put = (at: number, value: bigint) => {
    for (let i = 0; i < size; i++) view.setUint8(at + i, Number((value >> BigInt(8 * i)) & 0xffn));
  };
  put(0, next);
  put(size, BigInt(regs.selectors[SEG.cs]!));
  const sp = stackAddress(run, regs.gpr[GPR.rsp]! - BigInt(2 * size));
  if (!run.access.copyTo(sp, bytes)) {
    injectPageFault(run, vcpu, 2, sp);
    return 'handled';
  }
  regs.gpr[GPR.rsp] = sp;
  return undefined;
}
