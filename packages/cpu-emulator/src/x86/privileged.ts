import type { PrivilegedInstruction } from '../processor.js';
import { type Instruction, segmentOf } from './decode.js';

/** What an instruction's operands need from the processor to be told. */
export interface OperandSource {
  gpr(register: number): bigint;
  /** Linear address of the memory operand. */
  address(insn: Instruction): bigint;
  /** Reads guest memory; undefined when it faults (the fault is then the processor's last). */
  read(address: bigint, size: number): bigint | undefined;
  segmentBase(segment: number): bigint;
  /** rsp, or esp in 32-bit code. */
  stackPointer(): bigint;
}

const PLAIN = new Set([
  'hlt',
  'cli',
  'sti',
  'clts',
  'wbinvd',
  'invd',
  'swapgs',
  'sysret',
  'sysenter',
  'sysexit',
  'xsetbv',
  'vmcall',
  'monitor',
  'mwait',
  'cpuid',
  'rdpmc',
]);

/** The decoded operands of an instruction that the hypervisor is to see; undefined when reading them faults. */
export function privilegedInstruction(
  insn: Instruction,
  from: OperandSource,
): PrivilegedInstruction | undefined {
  const { name } = insn.encoded.row;
  if (PLAIN.has(name)) return { op: name } as PrivilegedInstruction;
  const dx = Number(from.gpr(2) & 0xffffn);
  const ioSize = insn.opcode & 1 ? (Math.min(insn.rawSize, 4) as 2 | 4) : 1;
  switch (name) {
    case 'in':
    case 'out':
      return { op: name, port: insn.opcode & 8 ? dx : Number(insn.immediate & 0xffn), size: ioSize };
    case 'ins':
    case 'outs': {
      const pointer = from.gpr(name === 'ins' ? 7 : 6);
      const base = name === 'ins' ? 0n : from.segmentBase(insn.segment);
      return {
        op: name,
        port: dx,
        size: ioSize,
        rep: insn.rep !== '',
        address: BigInt.asUintN(64, base + BigInt.asUintN(8 * insn.addressSize, pointer)),
        addressSize: insn.addressSize,
      };
    }
    case 'rdmsr':
    case 'wrmsr':
      return { op: name, index: Number(from.gpr(1) & 0xffff_ffffn) };
    case 'lgdt':
    case 'lidt':
    case 'invlpg':
      return { op: name, address: from.address(insn) };
    case 'retf':
      return {
        op: 'farReturn',
        operandSize: insn.rawSize,
        selector: 0,
        offset: 0n,
        pop: Number(insn.immediate),
      };
    case 'iret':
      return { op: 'iret', operandSize: insn.rawSize, selector: 0, offset: 0n, pop: 0 };
    case 'sgdt':
    case 'sidt':
      return { op: name, address: from.address(insn) };
    case 'sldt':
    case 'str':
    case 'smsw':
      return {
        op: name,
        address: insn.memory && from.address(insn),
        gpr: insn.rm,
        operandSize: insn.rawSize,
      };
    case 'les':
    case 'lds':
    case 'lss':
    case 'lfs':
    case 'lgs':
      return farPointer(insn, from, FAR_LOADS[name]);
    case 'jmp':
    case 'call':
      return farBranch(insn, from);
    case 'mov':
      if (insn.opcode !== 0x8e) {
        const control = (insn.opcode & 1) === 0;
        const write = (insn.opcode & 2) !== 0;
        const op = control ? (write ? 'writeCr' : 'readCr') : write ? 'writeDr' : 'readDr';
        return { op, register: insn.reg, gpr: insn.rm };
      }
      break;
    case 'pop': {
      const selector = from.read(from.stackPointer(), insn.rawSize);
      if (selector === undefined) return undefined;
      return {
        op: 'loadSegment',
        segment: segmentOf(insn),
        selector: Number(selector & 0xffffn),
        popped: insn.rawSize,
      };
    }
  }
  // What is left has a 16-bit selector or status word in a register or in memory.
  const value = insn.memory ? from.read(from.address(insn), 2) : from.gpr(insn.rm) & 0xffffn;
  if (value === undefined) return undefined;
  const selector = Number(value);
  switch (name) {
    case 'mov':
      return { op: 'loadSegment', segment: insn.group, selector, popped: 0 };
    case 'lmsw':
      return { op: 'lmsw', value: selector };
    case 'lldt':
    case 'ltr':
      return { op: name, selector };
    default:
      return {
        op: name as 'lar' | 'lsl' | 'verr' | 'verw',
        selector,
        gpr: insn.reg,
        operandSize: insn.rawSize,
      };
  }
}

/** Segment registers of the instructions that load one together with a general register. */
const FAR_LOADS = { les: 0, lss: 2, lds: 3, lfs: 4, lgs: 5 } as const;

/** The offset and the selector that stand in memory, or in the instruction. */
function farOperand(
  insn: Instruction,
  from: OperandSource,
): { offset: bigint; selector: number } | undefined {
  const size = insn.rawSize;
  if (!insn.memory) {
    const offset = BigInt.asUintN(8 * size, insn.immediate);
    return { offset, selector: Number(insn.immediate >> BigInt(8 * size)) };
  }
  const address = from.address(insn);
  const offset = from.read(address, size);
  if (offset === undefined) return undefined;
  const selector = from.read(address + BigInt(size), 2);
  return selector === undefined ? undefined : { offset, selector: Number(selector) };
}

function farBranch(insn: Instruction, from: OperandSource): PrivilegedInstruction | undefined {
  const far = farOperand(insn, from);
  const op = insn.encoded.row.name === 'jmp' ? 'farJump' : 'farCall';
  return far && { op, operandSize: insn.rawSize, ...far, pop: 0 };
}

function farPointer(
  insn: Instruction,
  from: OperandSource,
  segment: number,
): PrivilegedInstruction | undefined {
  const far = farOperand(insn, from);
  if (!far) return undefined;
  const loaded = { gpr: insn.reg, value: far.offset, operandSize: insn.rawSize };
  return { op: 'loadSegment', segment, selector: far.selector, popped: 0, loaded };
}
