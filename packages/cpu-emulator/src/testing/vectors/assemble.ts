import { operandBytes } from '../../x86/operand.js';
import type { Form } from './forms.js';
import { GS_BASE } from './state.js';

/** A memory operand: register numbers, −1 for none; `rip` needs nothing else than `target`. */
export interface Address {
  rip: boolean;
  base: number;
  index: number;
  scale: number;
  disp: number;
  /** Linear address that it leads to. */
  target: number;
}

export interface Choices {
  reg: number;
  rm: number;
  address: Address | undefined;
  /** A REX prefix that nothing needs. */
  rex: boolean;
  lock: boolean;
  address32: boolean;
  /** A GS prefix; the segment's base is `GS_BASE`. */
  gs: boolean;
  immediate: bigint;
  /** Relative branches: distance from the end. */
  relative: number;
  rip: number;
}

const little = (v: bigint | number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Number((BigInt.asUintN(64, BigInt(v)) >> BigInt(8 * i)) & 0xffn));

/** Bytes behind ModRM's displacement: immediates, offsets. */
function trailing(form: Form, c: Choices): number[] {
  const out: number[] = [];
  for (const o of form.encoded.encoding.operands) {
    const bytes = operandBytes(o.size, form.size);
    if (form.encoded.row.name === 'enter') out.push(...little(c.immediate, 3));
    else if (o.kind === 'I' || o.kind === 'sI') out.push(...little(c.immediate, bytes));
    else if (o.kind === 'J') out.push(...little(c.relative, o.size === 'b' ? 1 : 4));
    else if (o.kind === 'D')
      out.push(...little(c.address!.target - (c.gs ? GS_BASE : 0), c.address32 || form.mode === 32 ? 4 : 8));
  }
  return out;
}

/** The bytes of one instruction. */
export function assemble(form: Form, c: Choices): Uint8Array {
  const { encoding: e, row } = form.encoded;
  const { operands } = e;
  const prefixes: number[] = [];
  if (c.lock) prefixes.push(0xf0);
  if (c.gs) prefixes.push(0x65);
  if (form.size === 2 && e.prefix !== '66') prefixes.push(0x66);
  if (c.address32) prefixes.push(0x67);
  if (e.prefix === '66') prefixes.push(0x66);
  if (e.prefix === 'f2' || form.rep === 'repnz') prefixes.push(0xf2);
  if (e.prefix === 'f3' || form.rep === 'repz') prefixes.push(0xf3);

  const usesReg = operands.some((o) => 'GVP'.includes(o.kind));
  const opcodeRegister = e.span === 8;
  const reg = e.group ?? (usesReg ? c.reg : 0);
  const wide = form.size === 8 && !row.options.default64 && !row.options.force64;
  let rex = (wide ? 8 : 0) | (usesReg && reg >= 8 ? 4 : 0);
  const opcode = e.opcode + (opcodeRegister ? c.rm & 7 : form.cc);
  const code: number[] = [...[[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][e.map]!, opcode];
  const behind = trailing(form, c);
  let ripPatch = -1;

  if (opcodeRegister) rex |= c.rm >> 3;
  else if (e.modrm !== undefined) code.push(e.modrm);
  else if (e.hasModrm && !c.address) {
    code.push(0xc0 | ((reg & 7) << 3) | (c.rm & 7));
    rex |= c.rm >> 3;
  } else if (e.hasModrm && c.address) {
    const a = c.address;
    const middle = (reg & 7) << 3;
    if (a.rip) {
      code.push(middle | 5);
      ripPatch = code.length;
      code.push(0, 0, 0, 0);
    } else {
      // In 64-bit code a displacement alone needs a SIB byte, because ModRM's form of it is relative to RIP.
      const bare = a.base < 0 && a.index < 0;
      const needsSib = a.index >= 0 || (bare && form.mode === 64) || (a.base & 7) === 4;
      const mod =
        a.base < 0 ? 0 : a.disp === 0 && (a.base & 7) !== 5 ? 0 : (a.disp << 24) >> 24 === a.disp ? 1 : 2;
      code.push((mod << 6) | middle | (needsSib ? 4 : bare ? 5 : a.base & 7));
      if (needsSib)
        code.push((a.scale << 6) | ((a.index < 0 ? 4 : a.index & 7) << 3) | (a.base < 0 ? 5 : a.base & 7));
      if (mod === 1) code.push(a.disp & 0xff);
      else if (mod === 2 || a.base < 0) code.push(...little(a.disp, 4));
      rex |= (a.base >= 8 ? 1 : 0) | (a.index >= 8 ? 2 : 0);
    }
  }
  const needsRex = rex !== 0 || c.rex;
  const bytes = [...prefixes, ...(needsRex ? [0x40 | rex] : []), ...code, ...behind];
  if (ripPatch >= 0) {
    const from = prefixes.length + Number(needsRex) + ripPatch;
    little(c.address!.target - (c.gs ? GS_BASE : 0) - (c.rip + bytes.length), 4).forEach((b, i) => {
      bytes[from + i] = b;
    });
  }
  return Uint8Array.from(bytes);
}
