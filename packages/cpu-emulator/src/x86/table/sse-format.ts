import {
  type F32,
  type F64,
  f32,
  f64,
  type I32,
  type I64,
  i32,
  i64,
  type V128,
  v128,
  v128op,
  v128test,
} from '@xenolith/wasm-builder';
import { VECTOR } from '../float/vector-format.js';
import type { Row } from '../row.js';
import type { Context } from '../semantics.js';
import { STATE } from '../state.js';
import { SIMD } from './simd.js';
import { mergeLow, scalar, select128, setVector, source, splat32, vector } from './sse-common.js';

export interface Format {
  suffix: 's' | 'd';
  bytes: 4 | 8;
  lanes: 4 | 2;
  /** Operand size code of the scalar forms. */
  size: 'd' | 'q';
  packedPrefix: string;
  scalarPrefix: string;
}
export const single: Format = {
  suffix: 's',
  bytes: 4,
  lanes: 4,
  size: 'd',
  packedPrefix: 'np',
  scalarPrefix: 'f3',
};
export const double: Format = {
  suffix: 'd',
  bytes: 8,
  lanes: 2,
  size: 'q',
  packedPrefix: '66',
  scalarPrefix: 'f2',
};

/** NaN lanes of the single-precision result `r` as those of the operand made quiet, or the default NaN of an invalid operation. */
export function mendNan(cx: Context, r: V128, operand: V128): V128 {
  const { f } = cx;
  const result = f.local('v128');
  const isNan = (v: V128): V128 => v128op(SIMD.f32x4_ne, v, v);
  f.set(result, r);
  f.if(v128test(SIMD.any_true, isNan(result)), () => {
    const quiet = v128op(SIMD.or, operand, splat32(0x0040_0000));
    const right = select128(quiet, splat32(0xffc0_0000), isNan(operand));
    f.set(result, select128(right, result, isNan(result)));
  });
  return result;
}

/** The low lane of a format with zeros above, and with ones above: what stands there raises nothing and is exact. */
export const lowOnly = (v: V128, format: Format): V128 => mergeLow(v, v128.zero(), format.bytes);
const aboveOnes = (v: V128, format: Format): V128 =>
  mergeLow(v, VECTOR[format.suffix].splat(1), format.bytes);

/** (a, b, lanes) → result */
export type Operation = (cx: Context, a: V128, b: V128, lanes: number) => V128;

/** ADDPS ADDPD ADDSS ADDSD and their like; the scalar forms keep the destination's upper lanes. */
export function family(name: string, map: string, operation: (format: Format) => Operation): Row[] {
  return [single, double].flatMap((format) => familyOf(format, name, `${map} Vx,`, operation(format)));
}
/** @param opcode with the first operand, and without the second: "58 Vx," */
export const familyOf = (
  format: Format,
  name: string,
  opcode: string,
  op: Operation,
  immediate = '',
): Row[] => [
  vector(`${name}p${format.suffix}`, [`${format.packedPrefix} 0f ${opcode}Wx${immediate}`], (cx) => {
    const b = source(cx, 1);
    setVector(cx, 0, op(cx, cx.readVector(0), b, format.lanes));
  }),
  vector(
    `${name}s${format.suffix}`,
    [`${format.scalarPrefix} 0f ${opcode}W${format.size}${immediate}`],
    (cx) => {
      const b = cx.f.let(aboveOnes(scalar(cx, 1), format));
      const a = cx.readVector(0);
      setVector(cx, 0, mergeLow(op(cx, cx.f.let(lowOnly(a, format)), b, 1), a, format.bytes));
    },
  ),
];

/** MXCSR.RC: 0 nearest, 1 down, 2 up, 3 towards zero. */
export const roundingControl = (): I32 =>
  i32.and(i32.shr_u(i32.load(i32.const(STATE.mxcsr)), i32.const(13)), i32.const(3));

export const asF32 = (v: I64): F32 => f32.reinterpret_i32(i32.wrap(v));
export const asF64 = (v: I64): F64 => f64.reinterpret_i64(v);
export const bitsOfF32 = (v: F32): I64 => i64.extend_u(i32.reinterpret_f32(v));
export const bitsOfF64 = (v: F64): I64 => i64.reinterpret_f64(v);

/** Rounds to an integral value by a mode as in MXCSR.RC. */
export function roundScalar(cx: Context, v: F64, mode: I32): F64 {
  const { f } = cx;
  const value = f.let(v);
  const r = f.local('f64');
  const m = f.let(mode);
  f.set(r, f64.trunc(value));
  f.if(i32.eqz(m), () => f.set(r, f64.nearest(value)));
  f.if(i32.eq(m, i32.const(1)), () => f.set(r, f64.floor(value)));
  f.if(i32.eq(m, i32.const(2)), () => f.set(r, f64.ceil(value)));
  return r;
}

export function roundPacked(cx: Context, value: V128, format: Format, mode: I32): V128 {
  const { f } = cx;
  const [nearest, floor, ceil, trunc] =
    format === single
      ? [SIMD.f32x4_nearest, SIMD.f32x4_floor, SIMD.f32x4_ceil, SIMD.f32x4_trunc]
      : [SIMD.f64x2_nearest, SIMD.f64x2_floor, SIMD.f64x2_ceil, SIMD.f64x2_trunc];
  const r = f.local('v128');
  const m = f.let(mode);
  f.set(r, v128op(trunc, value));
  f.if(i32.eqz(m), () => f.set(r, v128op(nearest, value)));
  f.if(i32.eq(m, i32.const(1)), () => f.set(r, v128op(floor, value)));
  f.if(i32.eq(m, i32.const(2)), () => f.set(r, v128op(ceil, value)));
  return r;
}
