import { decode, type Instruction, RIP_BASE } from './decode.js';
import { type OperandSpec, operandBytes } from './operand.js';

const NAMES64 = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'];
const NAMES8 = ['al', 'cl', 'dl', 'bl', 'ah', 'ch', 'dh', 'bh'];
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];
const CONDITIONS = ['o', 'no', 'b', 'ae', 'e', 'ne', 'be', 'a', 's', 'ns', 'p', 'np', 'l', 'ge', 'le', 'g'];
const SIZES: Record<number, string> = {
  1: 'byte ',
  2: 'word ',
  4: 'dword ',
  8: 'qword ',
  10: 'tbyte ',
  16: 'xmmword ',
};
/** Letters that string instructions carry for their element's size. */
const SUFFIX: Record<number, string> = { 1: 'b', 2: 'w', 4: 'd', 8: 'q' };
/** Names by operand size where the table has one row for all. */
const CONVERT: Record<string, readonly [string, string, string]> = {
  cbw: ['cbw', 'cwde', 'cdqe'],
  cwd: ['cwd', 'cdq', 'cqo'],
  iret: ['iret', 'iretd', 'iretq'],
};

const hex = (v: bigint | number): string => {
  const big = BigInt(v);
  return big < 0n ? `-0x${(-big).toString(16)}` : `0x${big.toString(16)}`;
};

function registerName(n: number, size: number, rex: number): string {
  if (size === 1)
    return n < 8 ? (rex === 0 || n < 4 ? NAMES8[n]! : ['spl', 'bpl', 'sil', 'dil'][n - 4]!) : `r${n}b`;
  if (n >= 8) return `r${n}${size === 8 ? '' : size === 4 ? 'd' : 'w'}`;
  const full = NAMES64[n]!;
  return size === 8 ? full : size === 4 ? `e${full.slice(1)}` : full.slice(1);
}

function memoryText(insn: Instruction, size: number, rip: bigint): string {
  const m = insn.memory!;
  const segment = insn.segment >= 4 ? `${SEGMENTS[insn.segment]}:` : '';
  const prefix = insn.encoded.row.options.addressOnly ? '' : (SIZES[size] ?? '');
  if (m.absolute !== undefined) return `${prefix}${segment}[${hex(m.absolute)}]`;
  if (m.base === RIP_BASE) {
    return `${prefix}${segment}[rip${m.disp < 0 ? '-' : '+'}${hex(Math.abs(m.disp))}] (${hex(BigInt.asUintN(64, rip + BigInt(insn.length + m.disp)))})`;
  }
  const parts: string[] = [];
  if (m.base >= 0) parts.push(registerName(m.base, insn.addressSize, 1));
  if (m.index >= 0)
    parts.push(`${registerName(m.index, insn.addressSize, 1)}${m.scale ? `*${1 << m.scale}` : ''}`);
  if (parts.length === 0) return `${prefix}${segment}[${hex(BigInt.asUintN(64, BigInt(m.disp)))}]`;
  const disp = m.disp === 0 ? '' : `${m.disp < 0 ? '-' : '+'}${hex(Math.abs(m.disp))}`;
  return `${prefix}${segment}[${parts.join('+')}${disp}]`;
}

function operandText(o: OperandSpec, insn: Instruction, rip: bigint): string | undefined {
  const { encoding, row } = insn.encoded;
  const vector = 'VWU'.includes(o.kind);
  const size =
    vector && o.size === '' ? 16 : o.size === '' ? insn.operandSize : operandBytes(o.size, insn.rawSize);
  switch (o.kind) {
    case 'E':
    case 'Q':
    case 'M':
    case 'W':
    case 'D':
      if (insn.memory) return memoryText(insn, size, rip);
      if (o.kind === 'Q') return `mm${insn.rm & 7}`;
      return vector ? `xmm${insn.rm}` : registerName(insn.rm, size, insn.rex);
    case 'O':
    case 'R':
      return registerName(insn.rm, size, insn.rex);
    case 'U':
      return `xmm${insn.rm}`;
    case 'V':
      return `xmm${insn.reg}`;
    case 'N':
      return `mm${insn.rm & 7}`;
    case 'P':
      return `mm${insn.reg & 7}`;
    case 'T':
      return `st(${insn.rm & 7})`;
    case 'G':
      return registerName(insn.reg, size, insn.rex);
    case 'A':
      return registerName(0, size, 0);
    case 'C':
      return 'cl';
    case '1':
      return '1';
    case 'I':
      return hex(insn.immediate);
    case 'sI':
      return hex(BigInt.asIntN(8 * insn.operandSize, insn.immediate));
    case 'F': {
      const size = BigInt(8 * insn.rawSize);
      return `${hex(insn.immediate >> size)}:${hex(insn.immediate & ((1n << size) - 1n))}`;
    }
    case 'J':
      return hex(BigInt.asUintN(64, rip + BigInt(insn.length + insn.relative)));
    case 'S': {
      const control = encoding.map === 1 && encoding.opcode >= 0x20 && encoding.opcode <= 0x23;
      if (control) return `${encoding.opcode & 1 ? 'dr' : 'cr'}${insn.reg}`;
      return row.name === 'mov' ? (SEGMENTS[insn.group] ?? '?') : undefined;
    }
    default:
      return undefined;
  }
}

function mnemonic(insn: Instruction): string {
  const { row, encoding } = insn.encoded;
  if (row.options.cc) return row.name + CONDITIONS[insn.opcode & 15];
  const converted = CONVERT[row.name];
  if (converted) return converted[insn.operandSize === 8 ? 2 : insn.operandSize === 4 ? 1 : 0];
  if (encoding.operands[0]?.kind === 'X') {
    const rep =
      insn.rep === '' ? '' : row.options.rep === 'rep' ? 'rep ' : insn.rep === 'repz' ? 'repe ' : 'repne ';
    return `${rep}${row.name}${SUFFIX[insn.operandSize]}`;
  }
  if (row.name === 'nop' && insn.encoded.encoding.opcode === 0x1e && insn.rep === 'repz') return 'endbr64';
  return row.name;
}

/**
 * One instruction as text in Intel syntax, from the table that the interpreter is made of.
 *
 * @param bytes the instruction's bytes; more may follow
 * @param rip its linear address, for branch targets
 * @returns "(bad)" with length 1 for what the processor does not know
 */
export function disassemble(bytes: Uint8Array, rip: bigint, mode: 64 | 32): { text: string; length: number } {
  const insn = decode(bytes, 0, mode);
  if (typeof insn === 'string') return { text: insn === 'incomplete' ? '(truncated)' : '(bad)', length: 1 };
  const name = `${insn.lock ? 'lock ' : ''}${mnemonic(insn)}`;
  let specs = insn.encoded.encoding.operands;
  // MOV to a control register names it first; the table lists the general register first for both directions.
  if (insn.encoded.encoding.map === 1 && (insn.opcode === 0x22 || insn.opcode === 0x23))
    specs = [...specs].reverse();
  if (name === 'endbr64') specs = [];
  const operands = specs.map((o) => operandText(o, insn, rip)).filter((t) => t !== undefined);
  return { text: operands.length ? `${name} ${operands.join(', ')}` : name, length: insn.length };
}
