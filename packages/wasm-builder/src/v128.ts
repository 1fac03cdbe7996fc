import { ByteWriter } from './bytes.js';
import { type Expr, type F32, type F64, type I32, type I64, memoryOp, op, type V128 } from './expr.js';

/** Encodes a SIMD opcode: prefix 0xfd and the LEB128 number of the SIMD proposal. */
function simd(code: number): number[] {
  const w = new ByteWriter();
  w.byte(0xfd);
  w.u32(code);
  return [...w.view()];
}

/** A SIMD instruction by its number (specification, section 5.4.9) whose operands are all vectors or scalars on the stack. */
export const v128op = (code: number, ...args: Expr[]): V128 => op('v128', simd(code), args);
/** A SIMD instruction that gives an i32 (any_true, all_true, bitmask). */
export const v128test = (code: number, a: V128): I32 => op('i32', simd(code), [a]);
const lane =
  <T extends 'i32' | 'i64' | 'f32' | 'f64'>(type: T, code: number) =>
  (a: V128, index: number): Expr<T> =>
    op(type, [...simd(code), index], [a]);
const replace =
  <E extends Expr>(code: number) =>
  (a: V128, index: number, value: E): V128 =>
    op('v128', [...simd(code), index], [a, value]);

/** Vector instructions that are not plain stack operations, and lane access. Others: `v128op(number, …)`. */
export const v128 = {
  load: (address: I32, offset = 0): V128 => memoryOp('v128', simd(0), address, offset),
  load32_zero: (address: I32, offset = 0): V128 => memoryOp('v128', simd(92), address, offset),
  load64_zero: (address: I32, offset = 0): V128 => memoryOp('v128', simd(93), address, offset),
  const: (bytes: readonly number[]): V128 => op('v128', [...simd(12), ...bytes], []),
  zero: (): V128 => op('v128', [...simd(12), ...new Array<number>(16).fill(0)], []),
  /** Bytes of `a` (0–15) and `b` (16–31) by constant indices. */
  shuffle: (a: V128, b: V128, lanes: readonly number[]): V128 => op('v128', [...simd(13), ...lanes], [a, b]),
  extract8_s: lane('i32', 21),
  extract8_u: lane('i32', 22),
  extract16_s: lane('i32', 24),
  extract16_u: lane('i32', 25),
  extract32: lane('i32', 27),
  extract64: lane('i64', 29),
  extractF32: lane('f32', 31),
  extractF64: lane('f64', 33),
  replace8: replace<I32>(23),
  replace16: replace<I32>(26),
  replace32: replace<I32>(28),
  replace64: replace<I64>(30),
  replaceF32: replace<F32>(32),
  replaceF64: replace<F64>(34),
};
