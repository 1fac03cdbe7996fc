import { operandBytes } from './operand.js';
import type { Encoding, Row } from './row.js';
import { rows } from './table/index.js';

/** A row with one of its encodings; `index` numbers all of them. */
export interface EncodedRow {
  index: number;
  row: Row;
  encoding: Encoding;
}

export interface MemoryOperand {
  /** Register numbers; −1 none, `RIP_BASE` for RIP-relative. */
  base: number;
  index: number;
  /** log2 of the scale */
  scale: number;
  disp: number;
  /** Absolute 64-bit offset (MOV with moffs), instead of all that. */
  absolute?: bigint;
}
export const RIP_BASE = 16;

export interface Instruction {
  encoded: EncodedRow;
  length: number;
  opcode: number;
  /** Effective operand size, 1, 2, 4 or 8, and address size, 4 or 8 (2 never in 64-bit mode). */
  operandSize: 1 | 2 | 4 | 8;
  addressSize: 2 | 4 | 8;
  /** Operand size by prefixes and mode alone, before a fixed size of the encoding. */
  rawSize: 2 | 4 | 8;
  /** 4 FS, 5 GS, or another segment whose base is 0, or −1. */
  segment: number;
  lock: boolean;
  rep: '' | 'repz' | 'repnz';
  rex: number;
  /** ModRM.reg with REX.R, ModRM.rm with REX.B (or the register in the opcode). */
  reg: number;
  rm: number;
  /** ModRM.reg without REX. */
  group: number;
  memory: MemoryOperand | undefined;
  /** Immediate, masked to the size that the operation wants. */
  immediate: bigint;
  /** Relative branch: distance from the end of the instruction. */
  relative: number;
}

/** Intel SDM volume 2, section 2.3.11: longer instructions raise #GP. */
export const MAX_LENGTH = 15;

const specificity = (e: Encoding): number =>
  (e.modrm !== undefined ? 8 : 0) +
  (e.prefix === 'any' ? 0 : e.prefix === 'none' || e.prefix === 'norep' ? 2 : 4) +
  (e.group !== undefined ? 1 : 0) +
  (e.mod !== undefined ? 1 : 0) +
  (e.span === 1 ? 0.5 : 0);

export const encodedRows: EncodedRow[] = rows
  .flatMap((row) => row.encodings.map((encoding) => ({ row, encoding })))
  .map((r, index) => ({ ...r, index }));

/** Candidates for map × 256 + opcode, the most specific first. */
const candidates: EncodedRow[][] = Array.from({ length: 4 * 256 }, () => []);
for (const r of encodedRows) {
  for (let i = 0; i < r.encoding.span; i++) candidates[r.encoding.map * 256 + r.encoding.opcode + i]!.push(r);
}
for (const list of candidates) list.sort((a, b) => specificity(b.encoding) - specificity(a.encoding));

/** Base and index registers of 16-bit addresses by ModRM.rm (Intel SDM volume 2, table 2-1). */
const BASES16: readonly (readonly [number, number])[] = [
  [3, 6],
  [3, 7],
  [5, 6],
  [5, 7],
  [6, -1],
  [7, -1],
  [5, -1],
  [3, -1],
];
const SEGMENT_PREFIX: Partial<Record<number, number>> = { 38: 0, 46: 1, 54: 2, 62: 3, 100: 4, 101: 5 };

/** What `decode` says when there is no instruction: it is not one, or more bytes are needed than there are. */
export type Undecodable = 'invalid' | 'incomplete' | 'too long';

/**
 * Decodes one instruction. `bytes` from `start` on hold as many bytes as are there, at most 15 are looked at.
 *
 * @param mode 64, or 32 for compatibility code
 */
export function decode(bytes: Uint8Array, start: number, mode: 64 | 32): Instruction | Undecodable {
  let at = start;
  const limit = Math.min(bytes.length, start + MAX_LENGTH);
  const short = (): Undecodable => (limit - start >= MAX_LENGTH ? 'too long' : 'incomplete');
  let operand16 = false;
  let address67 = false;
  let lock = false;
  let rep: Instruction['rep'] = '';
  let segment = -1;
  let rex = 0;

  // Legacy prefixes in any order, then at most one REX that must stand directly before the opcode.
  for (; ; at++) {
    if (at >= limit) return short();
    const byte = bytes[at]!;
    if (byte === 0x66) operand16 = true;
    else if (byte === 0x67) address67 = true;
    else if (byte === 0xf0) lock = true;
    else if (byte === 0xf2) rep = 'repnz';
    else if (byte === 0xf3) rep = 'repz';
    else if (SEGMENT_PREFIX[byte] !== undefined) {
      const s = SEGMENT_PREFIX[byte]!;
      if (mode === 32 || s >= 4) segment = s;
    } else if (mode === 64 && byte >= 0x40 && byte <= 0x4f) rex = byte;
    else break;
    if (!(mode === 64 && byte >= 0x40 && byte <= 0x4f)) rex = 0;
  }

  let map = 0;
  let opcode = bytes[at++]!;
  if (opcode === 0x0f) {
    if (at >= limit) return short();
    map = 1;
    opcode = bytes[at++]!;
    if (opcode === 0x38 || opcode === 0x3a) {
      map = opcode === 0x38 ? 2 : 3;
      if (at >= limit) return short();
      opcode = bytes[at++]!;
    }
  }

  const list = candidates[map * 256 + opcode]!;
  const modrm = at < limit ? bytes[at]! : -1;
  const mandatory = rep === 'repz' ? 'f3' : rep === 'repnz' ? 'f2' : operand16 ? '66' : 'none';
  let encoded: EncodedRow | undefined;
  for (const c of list) {
    const e = c.encoding;
    if (e.prefix === 'norep' ? rep !== '' : e.prefix !== 'any' && e.prefix !== mandatory) continue;
    if (c.row.options.mode !== undefined && c.row.options.mode !== mode) continue;
    if (opcode === 0x90 && map === 0 && e.span === 1 && rex & 1) continue;
    if (e.hasModrm) {
      if (modrm < 0) return short();
      if (e.modrm !== undefined && e.modrm !== modrm) continue;
      if (e.group !== undefined && e.group !== ((modrm >> 3) & 7)) continue;
      if (e.mod !== undefined && (e.mod === 'r') !== modrm >= 0xc0) continue;
      if (modrm >= 0xc0 && e.operands.some((o) => o.kind === 'M')) continue;
      // MOV to and from control and debug registers ignores mod; elsewhere a register operand needs mod 3.
      const ignoresMod = map === 1 && opcode >= 0x20 && opcode <= 0x23;
      if (modrm < 0xc0 && !ignoresMod && e.operands.some((o) => 'RUNT'.includes(o.kind))) continue;
    }
    encoded = c;
    break;
  }
  if (!encoded) return 'invalid';
  const { encoding, row } = encoded;
  const { options } = row;

  const rexW = (rex & 8) !== 0;
  // A mandatory 66 does not change the operand size.
  const small = operand16 && encoding.prefix !== '66';
  let operandSize: 2 | 4 | 8 = rexW ? 8 : small ? 2 : 4;
  if (mode === 64) {
    if (options.force64) operandSize = 8;
    else if (options.default64) operandSize = small ? 2 : 8;
  }
  const addressSize = mode === 64 ? (address67 ? 4 : 8) : address67 ? 2 : 4;

  let reg = 0;
  let rm = encoding.span === 8 ? (opcode & 7) | ((rex & 1) << 3) : 0;
  let group = 0;
  let memory: MemoryOperand | undefined;
  if (encoding.hasModrm) {
    at++;
    group = (modrm >> 3) & 7;
    reg = group | ((rex & 4) << 1);
    rm = (modrm & 7) | ((rex & 1) << 3);
    const mod = modrm >> 6;
    // MOV with a segment register that is not there, or to CS.
    if (map === 0 && (opcode === 0x8c || opcode === 0x8e) && (group > 5 || (opcode === 0x8e && group === 1)))
      return 'invalid';
    // MOV to and from control registers ignores mod.
    const registerForm = mod === 3 || (map === 1 && opcode >= 0x20 && opcode <= 0x23);
    if (!registerForm) {
      let base = rm;
      let index = -1;
      let scale = 0;
      if (addressSize === 2) [base, index] = mod === 0 && (modrm & 7) === 6 ? [-1, -1] : BASES16[modrm & 7]!;
      else if ((modrm & 7) === 4) {
        if (at >= limit) return short();
        const sib = bytes[at++]!;
        scale = sib >> 6;
        index = ((sib >> 3) & 7) | ((rex & 2) << 2);
        if (index === 4) index = -1;
        base = (sib & 7) | ((rex & 1) << 3);
        if ((sib & 7) === 5 && mod === 0) base = -1;
      } else if ((modrm & 7) === 5 && mod === 0) base = mode === 64 ? RIP_BASE : -1;
      let disp = 0;
      if (mod === 1) {
        if (at >= limit) return short();
        disp = (bytes[at++]! << 24) >> 24;
      } else if (addressSize === 2 && (mod === 2 || base === -1)) {
        if (at + 2 > limit) return short();
        disp = ((bytes[at]! | (bytes[at + 1]! << 8)) << 16) >> 16;
        at += 2;
      } else if (mod === 2 || base === -1 || base === RIP_BASE) {
        if (at + 4 > limit) return short();
        disp = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
        at += 4;
      }
      memory = { base, index, scale, disp };
    }
  }

  let immediate = 0n;
  let relative = 0;
  const size = effectiveSize(encoding, operandSize);
  for (const o of encoding.operands) {
    if (o.kind === 'I' || o.kind === 'sI') {
      const bytesWide = o.size === 'w' && row.name === 'enter' ? 3 : operandBytes(o.size, operandSize);
      if (at + bytesWide > limit) return short();
      let v = 0n;
      for (let i = bytesWide - 1; i >= 0; i--) v = (v << 8n) | BigInt(bytes[at + i]!);
      at += bytesWide;
      const signed = o.kind === 'sI' || o.size === 'z';
      immediate = signed ? BigInt.asUintN(8 * size, BigInt.asIntN(8 * bytesWide, v)) : v;
    } else if (o.kind === 'J') {
      const wide = o.size === 'b' ? 1 : 4;
      if (at + wide > limit) return short();
      relative =
        wide === 1
          ? (bytes[at]! << 24) >> 24
          : bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
      at += wide;
    } else if (o.kind === 'F') {
      // Offset, then selector.
      if (at + operandSize + 2 > limit) return short();
      for (let i = operandSize + 1; i >= 0; i--) immediate = (immediate << 8n) | BigInt(bytes[at + i]!);
      at += operandSize + 2;
    } else if (o.kind === 'D') {
      if (at + addressSize > limit) return short();
      let v = 0n;
      for (let i = addressSize - 1; i >= 0; i--) v = (v << 8n) | BigInt(bytes[at + i]!);
      at += addressSize;
      memory = { base: -1, index: -1, scale: 0, disp: 0, absolute: v };
    }
  }

  // LOCK wants a row that allows it and memory as the destination.
  if (lock && !(options.lock && memory && 'EM'.includes(encoding.operands[0]!.kind))) return 'invalid';
  return {
    encoded,
    length: at - start,
    opcode,
    operandSize: size,
    addressSize,
    rawSize: operandSize,
    segment,
    lock,
    rep: encoding.prefix === 'any' ? rep : '',
    rex,
    reg,
    rm,
    group,
    memory,
    immediate,
    relative,
  };
}

/** The operation's size: the first operand's where it has a fixed one. */
export function effectiveSize(encoding: Encoding, operandSize: 2 | 4 | 8): 1 | 2 | 4 | 8 {
  const first = encoding.operands[0];
  if (!first || !'EGOARMDX'.includes(first.kind) || first.size === '' || first.size === 'x')
    return operandSize;
  return operandBytes(first.size, operandSize) as 1 | 2 | 4 | 8;
}

/** The segment register that an instruction names: in the opcode of PUSH and POP, else in ModRM.reg. */
export const segmentOf = (insn: Instruction): number =>
  /^(push|pop)$/.test(insn.encoded.row.name) && !insn.encoded.encoding.hasModrm
    ? (insn.opcode >> 3) & 7
    : insn.group;
