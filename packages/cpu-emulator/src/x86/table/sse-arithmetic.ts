import { f32, type V128, v128, v128op } from '@xenolith/wasm-builder';
import type { Row } from '../row.js';
import type { Context } from '../semantics.js';
import { SIMD } from './simd.js';
import { imm, packed, packedBy, select128, splat32 } from './sse-common.js';
import { double, type Format, family, familyOf, mendNan, type Operation, single } from './sse-format.js';
import { range } from './vectors.js';

/** An operation of `float/`, by its name without the format. */
const operation =
  (name: string) =>
  (format: Format): Operation =>
  (cx, a, b, lanes) =>
    cx.float(`${name}${format.suffix}`, a, b, lanes);

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
    return mendNan(cx, flush(cx, quotient), value);
  };

/** Even lanes of the operands' concatenation combined with odd ones. */
const horizontal =
  (format: Format, name: string) =>
  (a: V128, b: V128, cx: Context): V128 => {
    const size = format.bytes;
    const pick = (odd: number): V128 =>
      v128.shuffle(
        a,
        b,
        range(16, (i) => (Math.floor(i / size) * 2 + odd) * size + (i % size)),
      );
    return cx.float(`${name}${format.suffix}`, pick(0), pick(1), format.lanes);
  };

/** ADDSUBPS, ADDSUBPD: even lanes are subtracted, odd lanes added. */
const addSub =
  (format: Format) =>
  (a: V128, b: V128, cx: Context): V128 =>
    cx.float(`addsub${format.suffix}`, a, b, format.lanes);

/** DPPS, DPPD: products of the lanes in bits 4–7, their sum in the lanes of bits 0–3, zero elsewhere. */
const dotProduct =
  (format: Format) =>
  (a: V128, b: V128, cx: Context): V128 =>
    cx.float(`dp${format.suffix}`, a, b, format.lanes, imm(cx));

export const sseArithmetic: Row[] = [
  ...family('add', '58', operation('add')),
  ...family('mul', '59', operation('mul')),
  ...family('sub', '5c', operation('sub')),
  ...family('div', '5e', operation('div')),
  ...family('min', '5d', operation('min')),
  ...family('max', '5f', operation('max')),
  ...family('sqrt', '51', operation('sqrt')),
  ...familyOf(single, 'rsqrt', '52 Vx,', estimate(true)),
  ...familyOf(single, 'rcp', '53 Vx,', estimate(false)),
  packed('haddpd', '66 0f 7c', horizontal(double, 'add')),
  packed('haddps', 'f2 0f 7c', horizontal(single, 'add')),
  packed('hsubpd', '66 0f 7d', horizontal(double, 'sub')),
  packed('hsubps', 'f2 0f 7d', horizontal(single, 'sub')),
  packed('addsubpd', '66 0f d0', addSub(double)),
  packed('addsubps', 'f2 0f d0', addSub(single)),
  packedBy('dpps', '66 0f 3a 40', dotProduct(single)),
  packedBy('dppd', '66 0f 3a 41', dotProduct(double)),
];
