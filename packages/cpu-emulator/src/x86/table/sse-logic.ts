import { type I32, i32, type V128, v128op, v128test } from '@xenolith/wasm-builder';
import type { Row } from '../row.js';
import type { Context } from '../semantics.js';
import { FLAG } from '../state.js';
import { SIMD } from './simd.js';
import { packed, plain, source, vector } from './sse-common.js';

/** One operation under its integer name and its two floating-point names, which differ only by their encoding. */
const threefold = (
  op: (name: string, encoding: string) => Row,
  names: readonly string[],
  opcode: readonly string[],
) => [
  op(names[0]!, `0f ${opcode[0]}`),
  op(names[1]!, `np 0f ${opcode[1]}`),
  op(names[2]!, `66 0f ${opcode[1]}`),
];
const logic = (names: readonly string[], opcode: readonly string[], simd: number): Row[] =>
  threefold((name, encoding) => plain(name, encoding, simd), names, opcode);
const notAnd = (name: string, encoding: string): Row =>
  packed(name, encoding, (a, b) => v128op(SIMD.andnot, b, a));

/** PTEST: ZF when no bit is set in both, CF when the source has none that the destination lacks. */
const test = (cx: Context): void => {
  const b = source(cx, 1);
  const a = cx.readVector(0);
  const none = (v: V128): I32 => i32.eqz(v128test(SIMD.any_true, v));
  const zf = i32.mul(none(v128op(SIMD.and, a, b)), i32.const(FLAG.zf));
  cx.flags.all(cx.f.let(i32.or(zf, none(v128op(SIMD.andnot, b, a)))));
};

export const sseLogic: Row[] = [
  ...logic(['pand', 'andps', 'andpd'], ['db', '54'], SIMD.and),
  ...threefold(notAnd, ['pandn', 'andnps', 'andnpd'], ['df', '55']),
  ...logic(['por', 'orps', 'orpd'], ['eb', '56'], SIMD.or),
  ...logic(['pxor', 'xorps', 'xorpd'], ['ef', '57'], SIMD.xor),
  plain('pcmpeqb', '0f 74', SIMD.i8x16_eq),
  plain('pcmpeqw', '0f 75', SIMD.i16x8_eq),
  plain('pcmpeqd', '0f 76', SIMD.i32x4_eq),
  plain('pcmpeqq', '66 0f 38 29', SIMD.i64x2_eq),
  plain('pcmpgtb', '0f 64', SIMD.i8x16_gt_s),
  plain('pcmpgtw', '0f 65', SIMD.i16x8_gt_s),
  plain('pcmpgtd', '0f 66', SIMD.i32x4_gt_s),
  plain('pcmpgtq', '66 0f 38 37', SIMD.i64x2_gt_s),
  vector('ptest', ['66 0f 38 17 Vx,Wx'], test),
];
