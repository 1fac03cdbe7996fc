import { f32, i32, type V128, v128, v128op } from '@xenolith/wasm-builder';
import type { Row } from '../row.js';
import type { Context } from '../semantics.js';
import { SIMD } from './simd.js';
import { imm, laneMask, packed, packedBy, range, select128, splat32 } from './sse-common.js';
import { double, type Format, family, familyOf, mendNan, type Operation, single } from './sse-format.js';

/** An operation that WebAssembly has, but for the NaNs. */
const native =
  (singleOp: number, doubleOp: number) =>
  (format: Format): Operation =>
  (cx, a, b) =>
    mendNan(cx, format, v128op(format === single ? singleOp : doubleOp, a, b), a, b);
const add = native(SIMD.f32x4_add, SIMD.f64x2_add);
const sub = native(SIMD.f32x4_sub, SIMD.f64x2_sub);
const mul = native(SIMD.f32x4_mul, SIMD.f64x2_mul);
const div = native(SIMD.f32x4_div, SIMD.f64x2_div);

/** MINPS and the like give the second operand when either is NaN or both are zero: WebAssembly's pmin turned round. */
const extreme =
  (singleOp: number, doubleOp: number) =>
  (format: Format): Operation =>
  (_cx, a, b) =>
    v128op(format === single ? singleOp : doubleOp, b, a);

const squareRoot =
  (format: Format): Operation =>
  (cx, _a, b) =>
    mendNan(cx, format, v128op(format === single ? SIMD.f32x4_sqrt : SIMD.f64x2_sqrt, b), b, b);

/** Denormal lanes become zeros of their sign. */
const flush = (cx: Context, v: V128): V128 => {
  const value = cx.f.let(v);
  const sign = splat32(0x8000_0000);
  const magnitude = v128op(SIMD.andnot, value, sign);
  const tiny = v128op(SIMD.f32x4_lt, magnitude, v128op(SIMD.f32x4_splat, f32.const(2 ** -126)));
  return cx.f.let(select128(v128op(SIMD.and, value, sign), value, tiny));
};
/**
 * RCP and RSQRT: in full precision, where processors have tables of their own; the architecture bounds the error by
 * 1.5 × 2^−12. Denormals count and come out as zeros, whatever MXCSR says.
 */
const estimate =
  (root: boolean): Operation =>
  (cx, _a, b) => {
    const value = flush(cx, b);
    const operand = root ? v128op(SIMD.f32x4_sqrt, value) : value;
    const quotient = v128op(SIMD.f32x4_div, v128op(SIMD.f32x4_splat, f32.const(1)), operand);
    return mendNan(cx, single, flush(cx, quotient), value, value);
  };

/** Even lanes of the operands' concatenation combined with odd ones. */
const horizontal =
  (format: Format, operation: (format: Format) => Operation) =>
  (a: V128, b: V128, cx: Context): V128 => {
    const size = format.bytes;
    const pick = (odd: number): V128 =>
      v128.shuffle(
        a,
        b,
        range(16, (i) => (Math.floor(i / size) * 2 + odd) * size + (i % size)),
      );
    return operation(format)(cx, cx.f.let(pick(0)), cx.f.let(pick(1)));
  };

/** ADDSUBPS, ADDSUBPD: even lanes are subtracted, odd lanes added. */
const addSub =
  (format: Format) =>
  (a: V128, b: V128, cx: Context): V128 => {
    const size = format.bytes;
    const lanes = range(16, (i) => (Math.floor(i / size) & 1 ? 16 + i : i));
    const op = (simd: number): V128 => v128op(simd, a, b);
    const mixed =
      format === single
        ? v128.shuffle(op(SIMD.f32x4_sub), op(SIMD.f32x4_add), lanes)
        : v128.shuffle(op(SIMD.f64x2_sub), op(SIMD.f64x2_add), lanes);
    return mendNan(cx, format, mixed, a, b);
  };

/** DPPS, DPPD: products of the lanes in bits 4–7, their sum in the lanes of bits 0–3, zero elsewhere. */
const dotProduct =
  (format: Format) =>
  (a: V128, b: V128, cx: Context): V128 => {
    const { f } = cx;
    const size = format.bytes;
    const control = f.let(imm(cx));
    const taken = laneMask(i32.shr_u(control, i32.const(4)), size);
    const products = f.let(v128op(SIMD.and, mul(format)(cx, a, b), taken));
    // Each lane with its neighbour, then each pair with the other pair.
    const moved = (v: V128, by: number): V128 =>
      f.let(
        v128.shuffle(
          v,
          v,
          range(16, (i) => i ^ by),
        ),
      );
    let sum = add(format)(cx, products, moved(products, size));
    if (format === single) sum = add(format)(cx, sum, moved(sum, 8));
    const first = v128.shuffle(
      sum,
      sum,
      range(16, (i) => i % size),
    );
    return v128op(SIMD.and, first, laneMask(control, size));
  };

export const sseArithmetic: Row[] = [
  ...family('add', '58', add),
  ...family('mul', '59', mul),
  ...family('sub', '5c', sub),
  ...family('div', '5e', div),
  ...family('min', '5d', extreme(SIMD.f32x4_pmin, SIMD.f64x2_pmin)),
  ...family('max', '5f', extreme(SIMD.f32x4_pmax, SIMD.f64x2_pmax)),
  ...family('sqrt', '51', squareRoot),
  ...familyOf(single, 'rsqrt', '52', estimate(true)),
  ...familyOf(single, 'rcp', '53', estimate(false)),
  packed('haddpd', '66 0f 7c', horizontal(double, add)),
  packed('haddps', 'f2 0f 7c', horizontal(single, add)),
  packed('hsubpd', '66 0f 7d', horizontal(double, sub)),
  packed('hsubps', 'f2 0f 7d', horizontal(single, sub)),
  packed('addsubpd', '66 0f d0', addSub(double)),
  packed('addsubps', 'f2 0f d0', addSub(single)),
  packedBy('dpps', '66 0f 3a 40', dotProduct(single)),
  packedBy('dppd', '66 0f 3a 41', dotProduct(double)),
];
