import { type I32, type I64, i32, type V128, v128, v128op } from '@xenolith/wasm-builder';
import { type Row, type RowOptions, row } from '../row.js';
import { type Context, loadSized } from '../semantics.js';
import { enterMmx, raisePending, setMmx } from './mmx-state.js';
import { SIMD } from './simd.js';
import { range } from './vectors.js';

/** A row on vector registers, MMX ones among them: it is refused while CR0.TS is set. */
export const vector = (
  name: string,
  encodings: readonly string[],
  semantics: (cx: Context) => void,
  options: RowOptions = {},
): Row =>
  row(
    name,
    encodings,
    (cx) => {
      if (cx.mmx) raisePending(cx);
      semantics(cx);
      if (cx.mmx) enterMmx(cx);
    },
    { ...options, fpu: true },
  );

/** Encodings of an instruction; "0f fc" without a prefix has both forms, on XMM registers (66) and on MMX registers. */
const forms = (encoding: string, immediate = ''): string[] =>
  encoding.startsWith('0f')
    ? [`66 ${encoding} Vx,Wx${immediate}`, `np ${encoding} Pq,Qq${immediate}`]
    : [`${encoding} Vx,Wx${immediate}`];

/** Operand `i`: 16 bytes (memory must be aligned to 16 unless `unaligned`), or 8 with zeros above for MMX. */
export function source(cx: Context, i: number, unaligned = false): V128 {
  const size = cx.sizeOf(i) as number;
  if (cx.isMemory(i) && size < 16) return scalar(cx, i);
  if (cx.isMemory(i) && !unaligned) {
    const address = cx.f.let(cx.address(i));
    cx.requireAligned(address, 16);
    return cx.f.let(v128.load(cx.readable(address, 16)));
  }
  return cx.readVector(i);
}

/** Operand `i` as the low 4 or 8 bytes of a vector; from memory the rest is zero, from a register it is what is there. */
export function scalar(cx: Context, i: number): V128 {
  if (!cx.isMemory(i)) return cx.readVector(i);
  const size = cx.sizeOf(i);
  const host = cx.readable(cx.address(i), size);
  return cx.f.let(size === 4 ? v128.load32_zero(host) : v128.load64_zero(host));
}

export function setVector(cx: Context, i: number, value: V128): void {
  if (cx.isMmx(i)) setMmx(cx, i, v128.extract64(value, 0));
  else cx.f.storeV128(cx.slot(i), 0, value);
}

/** The low `bytes` of `low`, the rest of `rest`. */
export const mergeLow = (low: V128, rest: V128, bytes: number): V128 =>
  v128.shuffle(
    low,
    rest,
    range(16, (i) => (i < bytes ? i : 16 + i)),
  );

/** The low 4 or 8 bytes of an operand that may be memory or an XMM register. */
export function lowLane(cx: Context, i: number, size: 4 | 8): I64 {
  if (cx.isMemory(i)) return cx.load(cx.address(i), size);
  return cx.f.let(loadSized(size, cx.slot(i)));
}

export type Binary = (a: V128, b: V128, cx: Context) => V128;

/** dst = op(dst, src) on whole registers: the shape of most vector instructions. */
export const packed = (name: string, encoding: string, op: Binary): Row =>
  vector(name, forms(encoding), (cx) => {
    const b = source(cx, 1);
    const a = cx.readVector(0);
    setVector(cx, 0, op(a, b, cx));
  });

/** The same where the operation is one WebAssembly instruction. */
export const plain = (name: string, encoding: string, opcode: number): Row =>
  packed(name, encoding, (a, b) => v128op(opcode, a, b));

/** The same with an immediate that the operation reads itself. */
export const packedBy = (name: string, encoding: string, op: Binary): Row =>
  vector(name, forms(encoding, ',Ib'), (cx) => {
    const b = source(cx, 1);
    setVector(cx, 0, op(cx.readVector(0), b, cx));
  });

/** dst = op(src) */
export const unary = (name: string, encoding: string, op: (v: V128, cx: Context) => V128): Row =>
  vector(name, forms(encoding), (cx) => setVector(cx, 0, op(source(cx, 1), cx)));

/** The operands as they are combined across lanes: in MMX forms both are the 16 bytes of the two together. */
export function joined(cx: Context, a: V128, b: V128): [V128, V128] {
  if (!cx.mmx) return [a, b];
  const both = cx.f.let(
    v128.shuffle(
      a,
      b,
      range(16, (i) => (i < 8 ? i : 8 + i)),
    ),
  );
  return [both, both];
}

export const imm = (cx: Context): I32 => i32.wrap(cx.imm());
export const bitOf = (v: I32, n: number): I32 => i32.and(i32.shr_u(v, i32.const(n)), i32.const(1));
export const splat32 = (v: number): V128 => v128op(SIMD.i32x4_splat, i32.const(v));
export const select128 = (ones: V128, zeros: V128, mask: V128): V128 =>
  v128op(SIMD.bitselect, ones, zeros, mask);
/** Bytes 0, 1, 2 … 15. */
export const iota = (): V128 => v128.const(range(16, (i) => i));
