import { f32, f64, type I32, type I64, i32, i64, select, v128, v128op } from '@xenolith/wasm-builder';
import type { Row } from '../row.js';
import { type Context, loadSized } from '../semantics.js';
import { FLAG } from '../state.js';
import { SIMD } from './simd.js';
import { imm, lowLane, vector } from './sse-common.js';
import { asF32, asF64, double, type Format, familyOf, single } from './sse-format.js';

/** CMPPS and the like: predicates eq lt le unord by bits 0 and 1 of the immediate, their negations by bit 2. */
const compareRows = (format: Format): Row[] =>
  familyOf(
    format,
    'cmp',
    'c2 Vx,',
    (cx, a, b, lanes) => cx.float(`cmp${format.suffix}`, a, b, lanes, imm(cx)),
    ',Ib',
  );

/** The biased exponent says neither denormal nor NaN; or the value is zero. */
function isPlain(format: Format, bits: I64): I32 {
  const [sign, least, infinity] =
    format === single
      ? [0x7fff_ffffn, 0x0080_0000n, 0x7f80_0000n]
      : [(1n << 63n) - 1n, 1n << 52n, 0x7ffn << 52n];
  const magnitude = i64.and(bits, i64.const(sign));
  const inRange = i64.le_u(i64.sub(magnitude, i64.const(least)), i64.const(infinity - least));
  return i32.or(inRange, i64.eqz(magnitude));
}

/** COMISS, UCOMISS: ZF PF CF, all three when unordered. A quiet NaN is invalid for COMI only. */
const comi =
  (name: 'comi' | 'ucomi', format: Format) =>
  (cx: Context): void => {
    const { f } = cx;
    const b = lowLane(cx, 1, format.bytes);
    const a = f.let(loadSized(format.bytes, cx.slot(0)));
    const is = (op: 'lt' | 'eq'): I32 =>
      format === single ? f32[op](asF32(a), asF32(b)) : f64[op](asF64(a), asF64(b));
    const flags = f.local('i32');
    f.if(
      i32.and(isPlain(format, a), isPlain(format, b)),
      () => f.set(flags, i32.or(is('lt'), i32.mul(is('eq'), i32.const(FLAG.zf)))),
      () => {
        const splat = (v: I64) => v128op(SIMD.i64x2_splat, v);
        const r = f.let(v128.extract32(cx.slowFloat(`${name}${format.suffix}`, splat(a), splat(b), 1), 0));
        // 0 equal, 1 less, 2 greater, 3 unordered.
        const unequal = select(
          i32.eq(r, i32.const(3)),
          i32.const(FLAG.zf | FLAG.pf | FLAG.cf),
          i32.and(r, i32.const(FLAG.cf)),
        );
        f.set(flags, select(r, unequal, i32.const(FLAG.zf)));
      },
    );
    cx.flags.all(flags);
  };

export const sseCompare: Row[] = [
  ...compareRows(single),
  ...compareRows(double),
  vector('ucomiss', ['np 0f 2e Vx,Wd'], comi('ucomi', single)),
  vector('comiss', ['np 0f 2f Vx,Wd'], comi('comi', single)),
  vector('ucomisd', ['66 0f 2e Vx,Wq'], comi('ucomi', double)),
  vector('comisd', ['66 0f 2f Vx,Wq'], comi('comi', double)),
];
