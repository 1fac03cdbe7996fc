import {
  type F64,
  f32,
  f64,
  type I32,
  type I64,
  i32,
  i64,
  select,
  type V128,
  v128,
  v128op,
  v128test,
} from '@xenolith/wasm-builder';
import type { Row } from '../row.js';
import type { Context } from '../semantics.js';
import { SIMD } from './simd.js';
import {
  bitOf,
  imm,
  lowLane,
  mergeLow,
  range,
  scalar,
  select128,
  setVector,
  source,
  splat32,
  splat64,
  unary,
  vector,
} from './sse-common.js';
import {
  asF32,
  asF64,
  bitsOfF32,
  bitsOfF64,
  double,
  type Format,
  lowOnly,
  roundingControl,
  roundPacked,
  roundScalar,
  single,
} from './sse-format.js';

// ── to integers ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** An integral float as an integer of `bytes`; what does not fit gives the integer indefinite, 1 followed by zeros. */
function toInteger(cx: Context, v: F64, bytes: 4 | 8): I64 {
  const value = cx.f.let(v);
  const limit = bytes === 4 ? 2 ** 31 : 2 ** 63;
  const fits = i32.and(f64.lt(value, f64.const(limit)), f64.ge(value, f64.const(-limit)));
  return cx.f.let(
    select(fits, i64.trunc_sat_f64_s(value), i64.const(bytes === 4 ? 0x8000_0000n : 1n << 63n)),
  );
}

const toIntegerRow = (
  name: string,
  opcode: string,
  format: Format,
  round: (cx: Context, v: F64) => F64,
): Row =>
  vector(name, [`${format.scalarPrefix} 0f ${opcode} Gy,W${format.size}`], (cx) => {
    const bits = lowLane(cx, 1, format.bytes);
    const value = format === single ? f64.promote(asF32(bits)) : asF64(bits);
    cx.write(0, toInteger(cx, round(cx, value), cx.sizeOf(0) as 4 | 8));
  });
const truncate = (_cx: Context, v: F64): F64 => f64.trunc(v);
const byControl = (cx: Context, v: F64): F64 => roundScalar(cx, v, roundingControl());

/** Integral floats to 32-bit integers; what does not fit becomes 0x80000000. */
function singlesToIntegers(cx: Context, v: V128): V128 {
  const value = cx.f.let(v);
  const limit = (n: number): V128 => v128op(SIMD.f32x4_splat, f32.const(n));
  const fits = v128op(
    SIMD.and,
    v128op(SIMD.f32x4_lt, value, limit(2 ** 31)),
    v128op(SIMD.f32x4_ge, value, limit(-(2 ** 31))),
  );
  return select128(v128op(SIMD.i32x4_trunc_sat_f32x4_s, value), splat32(-0x8000_0000), fits);
}

const doublesToIntegers =
  (round: (cx: Context, v: F64) => F64) =>
  (v: V128, cx: Context): V128 => {
    const lane = (i: number): I32 => i32.wrap(toInteger(cx, round(cx, v128.extractF64(v, i)), 4));
    return v128.replace32(v128.replace32(v128.zero(), 0, lane(0)), 1, lane(1));
  };

// ── to floats ────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Moves a float's bits, rounded to nearest, to where MXCSR.RC wants them.
 *
 * @param less the rounded magnitude is less than the exact one; `greater` likewise
 * @param negative 1 when the exact value is
 */
function nudge(bits: I64, less: I32, greater: I32, negative: I32): I64 {
  const mode = roundingControl();
  const up = i32.and(less, i32.eq(mode, i32.sub(i32.const(2), negative)));
  const down = i32.and(
    greater,
    i32.or(i32.eq(mode, i32.const(3)), i32.eq(mode, i32.add(i32.const(1), negative))),
  );
  return i64.add(bits, i64.sub(i64.extend_u(up), i64.extend_u(down)));
}

/** The bits of a double as a single. A NaN keeps its sign and the payload's upper bits and becomes quiet. */
function demote(cx: Context, v: F64): I64 {
  const { f } = cx;
  const value = f.let(v);
  const bits = f.local('i64');
  f.if(
    f64.ne(value, value),
    () => {
      const wide = f.let(bitsOfF64(value));
      const sign = i64.and(i64.shr_u(wide, i64.const(32)), i64.const(0x8000_0000));
      const payload = i64.and(i64.shr_u(wide, i64.const(29)), i64.const(0x3f_ffff));
      f.set(bits, i64.or(i64.or(sign, payload), i64.const(0x7fc0_0000)));
    },
    () => {
      const nearest = f.let(f32.demote(value));
      const magnitude = f.let(f64.abs(f64.promote(nearest)));
      const exact = f.let(f64.abs(value));
      const negative = i32.wrap(i64.shr_u(bitsOfF64(value), i64.const(63)));
      f.set(
        bits,
        nudge(bitsOfF32(nearest), f64.lt(magnitude, exact), f64.gt(magnitude, exact), f.let(negative)),
      );
    },
  );
  return bits;
}

/** The bits of a single as a double: exact, but for a NaN, which becomes quiet. */
function promote(cx: Context, single: I64): I64 {
  const { f } = cx;
  const bits = f.local('i64');
  f.set(bits, bitsOfF64(f64.promote(asF32(single))));
  f.if(f32.ne(asF32(single), asF32(single)), () => {
    const sign = i64.shl(i64.and(single, i64.const(0x8000_0000)), i64.const(32));
    const payload = i64.shl(i64.and(single, i64.const(0x3f_ffff)), i64.const(29));
    f.set(bits, i64.or(i64.or(sign, payload), i64.const(0x7ff8_0000_0000_0000n)));
  });
  return bits;
}

/** The bits of a 64-bit integer as a float. */
function fromInteger(cx: Context, v: I64, format: Format): I64 {
  const { f } = cx;
  const negative = f.let(i64.lt_s(v, i64.const(0)));
  const bits = f.let(format === single ? bitsOfF32(f32.convert_i64_s(v)) : bitsOfF64(f64.convert_i64_s(v)));
  const rounded = f.let(format === single ? f64.promote(asF32(bits)) : asF64(bits));
  // Back to an integer; 2^63 would saturate to an integer that may be the exact one.
  const back = f.let(i64.trunc_sat_f64_s(rounded));
  const beyond = f64.ge(rounded, f64.const(2 ** 63));
  const above = f.let(i32.or(i64.gt_s(back, v), beyond));
  const below = f.let(i32.and(i64.lt_s(back, v), i32.eqz(beyond)));
  return nudge(bits, select(negative, above, below), select(negative, below, above), negative);
}

const fromIntegerRow = (name: string, format: Format): Row =>
  vector(name, [`${format.scalarPrefix} 0f 2a Vx,Ey`], (cx) => {
    const v = cx.read(1);
    const wide = cx.f.let(cx.sizeOf(1) === 4 ? i64.extend32_s(v) : v);
    const bits = cx.f.let(fromInteger(cx, wide, format));
    cx.f.store64(cx.slot(0), 0, bits, format.bytes);
  });

const lowQuad = (cx: Context, i: number): V128 => v128op(SIMD.i64x2_splat, lowLane(cx, i, 8));

/** Two singles to doubles, NaNs made quiet. */
const promotePair = (cx: Context): void => {
  const { f } = cx;
  const v = f.let(lowQuad(cx, 1));
  const r = f.local('v128');
  f.set(r, v128op(SIMD.f64x2_promote_low_f32x4, v));
  const nan = v128op(SIMD.f64x2_ne, r, r);
  f.if(v128test(SIMD.any_true, nan), () => {
    const wide = f.let(v128op(SIMD.i64x2_extend_low_i32x4_u, v));
    const field = (mask: bigint, shift: number): V128 =>
      v128op(SIMD.i64x2_shl, v128op(SIMD.and, wide, splat64(mask)), i32.const(shift));
    const signAndPayload = v128op(SIMD.or, field(0x8000_0000n, 32), field(0x3f_ffffn, 29));
    const mended = v128op(SIMD.or, signAndPayload, splat64(0x7ff8_0000_0000_0000n));
    f.set(r, select128(mended, r, nan));
  });
  setVector(cx, 0, r);
};

/** Each given double as a single, in the lowest lanes. */
const demoteLanes = (cx: Context, lanes: readonly F64[]): V128 => {
  const r = cx.f.local('v128');
  cx.f.set(r, v128.zero());
  for (const [i, lane] of lanes.entries()) cx.f.set(r, v128.replace32(r, i, i32.wrap(demote(cx, lane))));
  return r;
};

// ── to integral floats ───────────────────────────────────────────────────────────────────────────────────────────────

/** ROUNDPS and the like: bit 2 of the immediate says MXCSR.RC, otherwise its low two bits are the mode. */
const roundMode = (cx: Context): I32 =>
  select(bitOf(imm(cx), 2), roundingControl(), i32.and(imm(cx), i32.const(3)));

const roundRows = (format: Format, packedOpcode: string, scalarOpcode: string): Row[] => [
  vector(`roundp${format.suffix}`, [`66 0f 3a ${packedOpcode} Vx,Wx,Ib`], (cx) =>
    setVector(cx, 0, roundPacked(cx, source(cx, 1), format, roundMode(cx))),
  ),
  vector(`rounds${format.suffix}`, [`66 0f 3a ${scalarOpcode} Vx,W${format.size},Ib`], (cx) => {
    const r = roundPacked(cx, lowOnly(scalar(cx, 1), format), format, roundMode(cx));
    setVector(cx, 0, mergeLow(r, cx.readVector(0), format.bytes));
  }),
];

export const sseConvert: Row[] = [
  toIntegerRow('cvttss2si', '2c', single, truncate),
  toIntegerRow('cvttsd2si', '2c', double, truncate),
  toIntegerRow('cvtss2si', '2d', single, byControl),
  toIntegerRow('cvtsd2si', '2d', double, byControl),
  fromIntegerRow('cvtsi2ss', single),
  fromIntegerRow('cvtsi2sd', double),
  vector('cvtss2sd', ['f3 0f 5a Vx,Wd'], (cx) => cx.f.store64(cx.slot(0), 0, promote(cx, lowLane(cx, 1, 4)))),
  vector('cvtsd2ss', ['f2 0f 5a Vx,Wq'], (cx) =>
    cx.f.store64(cx.slot(0), 0, demote(cx, asF64(lowLane(cx, 1, 8))), 4),
  ),
  vector('cvtps2pd', ['np 0f 5a Vx,Wq'], promotePair),
  unary('cvtpd2ps', '66 0f 5a', (v, cx) => demoteLanes(cx, [v128.extractF64(v, 0), v128.extractF64(v, 1)])),
  unary('cvtdq2ps', 'np 0f 5b', (v, cx) =>
    demoteLanes(
      cx,
      range(4, (i) => f64.convert_i32_s(v128.extract32(v, i))),
    ),
  ),
  vector('cvtdq2pd', ['f3 0f e6 Vx,Wq'], (cx) =>
    setVector(cx, 0, v128op(SIMD.f64x2_convert_low_i32x4_s, lowQuad(cx, 1))),
  ),
  unary('cvttps2dq', 'f3 0f 5b', (v, cx) => singlesToIntegers(cx, v128op(SIMD.f32x4_trunc, v))),
  unary('cvtps2dq', '66 0f 5b', (v, cx) =>
    singlesToIntegers(cx, roundPacked(cx, v, single, roundingControl())),
  ),
  unary('cvttpd2dq', '66 0f e6', doublesToIntegers(truncate)),
  unary('cvtpd2dq', 'f2 0f e6', doublesToIntegers(byControl)),
  ...roundRows(single, '08', '0a'),
  ...roundRows(double, '09', '0b'),
];
