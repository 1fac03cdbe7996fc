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
import { inexactKnown, noneSet, roundsToNearest, unusual } from '../float/functions.js';
import { VECTOR } from '../float/vector-format.js';
import type { Row } from '../row.js';
import type { Context } from '../semantics.js';
import { SIMD } from './simd.js';
import { bitOf, imm, lowLane, mergeLow, scalar, setVector, source, unary, vector } from './sse-common.js';
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

/* Each conversion is done here where it raises no exception that MXCSR has not seen, and by `float/` otherwise. */

const splat = (v: I64): V128 => v128op(SIMD.i64x2_splat, v);

// ── to integers ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** A way of rounding to an integer: how, and the operation of `float/` that does the same. */
interface ToInteger {
  round(cx: Context, v: F64): F64;
  slow: 'int' | 'trunc';
}
const truncating: ToInteger = { round: (_cx, v) => f64.trunc(v), slow: 'trunc' };
const byControl: ToInteger = { round: (cx, v) => roundScalar(cx, v, roundingControl()), slow: 'int' };

/** True when `rounded` is the known integer of `bytes` for `v`, with nothing to note in MXCSR. */
function isKnownInteger(v: F64, rounded: F64, bytes: 4 | 8, format: Format): I32 {
  const limit = bytes === 4 ? 2 ** 31 : 2 ** 63;
  const fits = i32.and(f64.lt(rounded, f64.const(limit)), f64.ge(rounded, f64.const(-limit)));
  const notTiny = f64.ge(f64.abs(v), f64.const(VECTOR[format.suffix].least));
  const inexact = i32.and(inexactKnown(), notTiny);
  return i32.and(fits, i32.or(inexact, f64.eq(v, rounded)));
}

const toIntegerRow = (name: string, opcode: string, format: Format, way: ToInteger): Row =>
  vector(name, [`${format.scalarPrefix} 0f ${opcode} Gy,W${format.size}`], (cx) => {
    const { f } = cx;
    const bytes = cx.sizeOf(0) as 4 | 8;
    const bits = lowLane(cx, 1, format.bytes);
    const value = f.let(format === single ? f64.promote(asF32(bits)) : asF64(bits));
    const rounded = f.let(way.round(cx, value));
    const r = f.local('i64');
    f.if(
      isKnownInteger(value, rounded, bytes, format),
      () => f.set(r, i64.trunc_sat_f64_s(rounded)),
      () => {
        const operation = `${way.slow}${8 * bytes}${format.suffix}`;
        f.set(r, v128.extract64(cx.slowFloat(operation, v128.zero(), splat(bits), 1), 0));
      },
    );
    cx.write(0, r);
  });

/** Packed singles to 32-bit integers. */
const singlesToIntegers =
  (round: (cx: Context, v: V128) => V128, slow: string) =>
  (v: V128, cx: Context): V128 => {
    const { f } = cx;
    const { op, splat: float } = VECTOR.s;
    const rounded = f.let(round(cx, v));
    const r = f.local('v128');
    const fits = v128op(
      SIMD.and,
      v128op(op.lt, rounded, float(2 ** 31)),
      v128op(op.ge, rounded, float(-(2 ** 31))),
    );
    const exact = v128test(op.all, v128op(op.eq, v, rounded));
    const inexact = i32.and(inexactKnown(), noneSet(unusual(VECTOR.s, v)));
    f.if(
      i32.and(v128test(op.all, fits), i32.or(exact, inexact)),
      () => f.set(r, v128op(SIMD.i32x4_trunc_sat_f32x4_s, rounded)),
      () => f.set(r, cx.slowFloat(slow, v128.zero(), v, 4)),
    );
    return r;
  };

const truncateSingles = singlesToIntegers((_cx, v) => v128op(SIMD.f32x4_trunc, v), 'trunc32s');
const roundSingles = singlesToIntegers((cx, v) => roundPacked(cx, v, single, roundingControl()), 'int32s');

const doublesToIntegers =
  (way: ToInteger) =>
  (v: V128, cx: Context): V128 => {
    const { f } = cx;
    const lanes = [0, 1].map((i) => f.let(v128.extractF64(v, i)));
    const rounded = lanes.map((lane) => f.let(way.round(cx, lane)));
    const known = [0, 1].map((i) => isKnownInteger(lanes[i]!, rounded[i]!, 4, double));
    const r = f.local('v128');
    f.if(
      i32.and(known[0]!, known[1]!),
      () => {
        const lane = (i: number): I32 => i32.trunc_sat_f64_s(rounded[i]!);
        f.set(r, v128.replace32(v128.replace32(v128.zero(), 0, lane(0)), 1, lane(1)));
      },
      () => f.set(r, cx.slowFloat(`${way.slow}32d`, v128.zero(), v, 2)),
    );
    return r;
  };

// ── to floats ────────────────────────────────────────────────────────────────────────────────────────────────────────

const fromIntegerRow = (name: string, format: Format): Row =>
  vector(name, [`${format.scalarPrefix} 0f 2a Vx,Ey`], (cx) => {
    const { f } = cx;
    const v = cx.read(1);
    const wide = f.let(cx.sizeOf(1) === 4 ? i64.extend32_s(v) : v);
    const bits = f.local('i64');
    f.set(bits, format === single ? bitsOfF32(f32.convert_i64_s(wide)) : bitsOfF64(f64.convert_i64_s(wide)));
    if (cx.sizeOf(1) === 8 || format === single) {
      // Back to an integer; 2^63 would saturate to an integer that may be the exact one.
      const rounded = f.let(format === single ? f64.promote(asF32(bits)) : asF64(bits));
      const exact = i32.and(i64.eq(i64.trunc_sat_f64_s(rounded), wide), f64.lt(rounded, f64.const(2 ** 63)));
      f.if(i32.eqz(i32.or(exact, i32.and(inexactKnown(), roundsToNearest()))), () => {
        const r = cx.slowFloat(`from64${format.suffix}`, v128.zero(), splat(wide), 1);
        f.set(bits, v128.extract64(r, 0));
      });
    }
    f.store64(cx.slot(0), 0, bits, format.bytes);
  });

const integersToSingles = (v: V128, cx: Context): V128 => {
  const { f } = cx;
  const { op, splat: float } = VECTOR.s;
  const r = f.local('v128');
  f.set(r, v128op(SIMD.f32x4_convert_i32x4_s, v));
  const back = v128op(SIMD.i32x4_eq, v128op(SIMD.i32x4_trunc_sat_f32x4_s, r), v);
  const exact = v128test(op.all, v128op(SIMD.and, back, v128op(op.lt, r, float(2 ** 31))));
  f.if(i32.eqz(i32.or(exact, i32.and(inexactKnown(), roundsToNearest()))), () =>
    f.set(r, cx.slowFloat('from32s', v128.zero(), v, 4)),
  );
  return r;
};

/** The two low doublewords, or singles. */
const lowQuad = (cx: Context, i: number): V128 => cx.f.let(splat(lowLane(cx, i, 8)));

/** One lane to another format; the other lanes of what is converted are zero. */
const scalarConversion = (name: string, encoding: string, operation: string, from: Format, to: Format): Row =>
  vector(name, [`${encoding} Vx,W${from.size}`], (cx) => {
    const v = cx.f.let(lowOnly(scalar(cx, 1), from));
    const r = cx.float(operation, v128.zero(), v, 1);
    setVector(cx, 0, mergeLow(r, cx.readVector(0), to.bytes));
  });

// ── to integral floats ───────────────────────────────────────────────────────────────────────────────────────────────

/** ROUNDPS and the like: bit 2 of the immediate says MXCSR.RC, otherwise its low two bits are the mode; bit 3: never inexact. */
function roundBy(cx: Context, v: V128, format: Format, lanes: number): V128 {
  const { f } = cx;
  const { op } = VECTOR[format.suffix];
  const control = f.let(imm(cx));
  const mode = select(bitOf(control, 2), roundingControl(), i32.and(control, i32.const(3)));
  const r = f.local('v128');
  f.set(r, roundPacked(cx, v, format, mode));
  const exact = v128test(op.all, v128op(op.eq, r, v));
  const inexact = i32.and(
    i32.or(inexactKnown(), bitOf(control, 3)),
    noneSet(unusual(VECTOR[format.suffix], v)),
  );
  f.if(i32.eqz(i32.or(exact, inexact)), () =>
    f.set(r, cx.slowFloat(`round${format.suffix}`, v128.zero(), v, lanes, control)),
  );
  return r;
}

const roundRows = (format: Format, packedOpcode: string, scalarOpcode: string): Row[] => [
  vector(`roundp${format.suffix}`, [`66 0f 3a ${packedOpcode} Vx,Wx,Ib`], (cx) =>
    setVector(cx, 0, roundBy(cx, source(cx, 1), format, format.lanes)),
  ),
  vector(`rounds${format.suffix}`, [`66 0f 3a ${scalarOpcode} Vx,W${format.size},Ib`], (cx) => {
    const r = roundBy(cx, cx.f.let(lowOnly(scalar(cx, 1), format)), format, 1);
    setVector(cx, 0, mergeLow(r, cx.readVector(0), format.bytes));
  }),
];

// ── with MMX registers ───────────────────────────────────────────────────────────────────────────────────────────────

/** Two 32-bit integers to singles; the destination's upper half stays. */
const cvtpi2ps = (cx: Context): void => {
  const r = integersToSingles(source(cx, 1), cx);
  cx.f.store64(cx.slot(0), 0, v128.extract64(r, 0));
};
/** The low two singles, with zeros above, which convert without a trace. */
const lowHalf = (cx: Context, v: V128): V128 => cx.f.let(mergeLow(v, v128.zero(), 8));
/** Two floats to 32-bit integers. */
const toMmx = (name: string, encoding: string, convert: (v: V128, cx: Context) => V128): Row =>
  vector(name, [encoding], (cx) => setVector(cx, 0, convert(source(cx, 1), cx)));

export const sseConvert: Row[] = [
  vector('cvtpi2ps', ['np 0f 2a Vx,Qq'], cvtpi2ps),
  vector('cvtpi2pd', ['66 0f 2a Vx,Qq'], (cx) =>
    setVector(cx, 0, v128op(SIMD.f64x2_convert_low_i32x4_s, source(cx, 1))),
  ),
  toMmx('cvttps2pi', 'np 0f 2c Pq,Wq', (v, cx) => truncateSingles(lowHalf(cx, v), cx)),
  toMmx('cvtps2pi', 'np 0f 2d Pq,Wq', (v, cx) => roundSingles(lowHalf(cx, v), cx)),
  toMmx('cvttpd2pi', '66 0f 2c Pq,Wx', doublesToIntegers(truncating)),
  toMmx('cvtpd2pi', '66 0f 2d Pq,Wx', doublesToIntegers(byControl)),
  toIntegerRow('cvttss2si', '2c', single, truncating),
  toIntegerRow('cvttsd2si', '2c', double, truncating),
  toIntegerRow('cvtss2si', '2d', single, byControl),
  toIntegerRow('cvtsd2si', '2d', double, byControl),
  fromIntegerRow('cvtsi2ss', single),
  fromIntegerRow('cvtsi2sd', double),
  scalarConversion('cvtss2sd', 'f3 0f 5a', 'widen', single, double),
  scalarConversion('cvtsd2ss', 'f2 0f 5a', 'narrow', double, single),
  vector('cvtps2pd', ['np 0f 5a Vx,Wq'], (cx) =>
    setVector(cx, 0, cx.float('widen', v128.zero(), lowQuad(cx, 1), 2)),
  ),
  unary('cvtpd2ps', '66 0f 5a', (v, cx) => cx.float('narrow', v128.zero(), v, 2)),
  unary('cvtdq2ps', 'np 0f 5b', integersToSingles),
  vector('cvtdq2pd', ['f3 0f e6 Vx,Wq'], (cx) =>
    setVector(cx, 0, v128op(SIMD.f64x2_convert_low_i32x4_s, lowQuad(cx, 1))),
  ),
  unary('cvttps2dq', 'f3 0f 5b', truncateSingles),
  unary('cvtps2dq', '66 0f 5b', roundSingles),
  unary('cvttpd2dq', '66 0f e6', doublesToIntegers(truncating)),
  unary('cvtpd2dq', 'f2 0f e6', doublesToIntegers(byControl)),
  ...roundRows(single, '08', '0a'),
  ...roundRows(double, '09', '0b'),
];
