import { f32, f64, type I32, type I64, i32, select, type V128, v128op } from '@xenolith/wasm-builder';
import type { Row } from '../row.js';
import { type Context, loadSized } from '../semantics.js';
import { FLAG } from '../state.js';
import { SIMD } from './simd.js';
import { bitOf, imm, lowLane, mergeLow, scalar, setVector, source, vector } from './sse-common.js';
import { asF32, asF64, double, type Format, single } from './sse-format.js';

/** CMPPS and the like: predicates eq lt le unord by bits 0 and 1 of the immediate, their negations by bit 2. */
function compare(cx: Context, format: Format, a: V128, b: V128): V128 {
  const { f } = cx;
  const [eq, lt, le, ne] =
    format === single
      ? [SIMD.f32x4_eq, SIMD.f32x4_lt, SIMD.f32x4_le, SIMD.f32x4_ne]
      : [SIMD.f64x2_eq, SIMD.f64x2_lt, SIMD.f64x2_le, SIMD.f64x2_ne];
  const predicate = f.let(imm(cx));
  const r = f.local('v128');
  const when = (n: number): I32 => i32.eq(i32.and(predicate, i32.const(3)), i32.const(n));
  f.set(r, v128op(SIMD.or, v128op(ne, a, a), v128op(ne, b, b)));
  f.if(when(0), () => f.set(r, v128op(eq, a, b)));
  f.if(when(1), () => f.set(r, v128op(lt, a, b)));
  f.if(when(2), () => f.set(r, v128op(le, a, b)));
  f.if(bitOf(predicate, 2), () => f.set(r, v128op(SIMD.not, r)));
  return r;
}

const compareRows = (format: Format): Row[] => [
  vector(`cmpp${format.suffix}`, [`${format.packedPrefix} 0f c2 Vx,Wx,Ib`], (cx) => {
    const b = source(cx, 1);
    setVector(cx, 0, compare(cx, format, cx.readVector(0), b));
  }),
  vector(`cmps${format.suffix}`, [`${format.scalarPrefix} 0f c2 Vx,W${format.size},Ib`], (cx) => {
    const b = scalar(cx, 1);
    const a = cx.readVector(0);
    setVector(cx, 0, mergeLow(compare(cx, format, a, b), a, format.bytes));
  }),
];

/** COMISS, UCOMISS: ZF PF CF, all three when unordered. They differ only in exceptions, which are masked. */
const comi =
  (format: Format) =>
  (cx: Context): void => {
    const b = lowLane(cx, 1, format.bytes);
    const a = cx.f.let(loadSized(format.bytes, cx.slot(0)));
    const is = (op: 'lt' | 'eq' | 'ne', x: I64, y: I64): I32 =>
      format === single ? f32[op](asF32(x), asF32(y)) : f64[op](asF64(x), asF64(y));
    const unordered = i32.or(is('ne', a, a), is('ne', b, b));
    const ordered = i32.or(is('lt', a, b), i32.mul(is('eq', a, b), i32.const(FLAG.zf)));
    cx.flags.all(cx.f.let(select(unordered, i32.const(FLAG.zf | FLAG.pf | FLAG.cf), ordered)));
  };
const comiSingle = comi(single);
const comiDouble = comi(double);

export const sseCompare: Row[] = [
  ...compareRows(single),
  ...compareRows(double),
  vector('ucomiss', ['np 0f 2e Vx,Wd'], comiSingle),
  vector('comiss', ['np 0f 2f Vx,Wd'], comiSingle),
  vector('ucomisd', ['66 0f 2e Vx,Wq'], comiDouble),
  vector('comisd', ['66 0f 2f Vx,Wq'], comiDouble),
];
