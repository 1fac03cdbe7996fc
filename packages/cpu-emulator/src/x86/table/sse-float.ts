import {
  type F32,
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
import { type Row, row } from '../row.js';
import { type Context, loadSized } from '../semantics.js';
import { FLAG, STATE } from '../state.js';
import { imm, lowLane, mergeLow, scalar, setVector, source, VECTOR } from './sse-common.js';

/**
 * Floating point on WebAssembly's, which rounds to nearest and leaves NaN bits open. What is mended here: which NaN comes
 * out. What is not modelled: the sticky exception flags, unmasked exceptions, DAZ and FTZ; other rounding modes act only
 * where a value becomes an integer.
 */
interface Format {
  suffix: 's' | 'd';
  bytes: 4 | 8;
  size: 'd' | 'q';
  /** Numbers of WebAssembly's add sub mul div sqrt, eq lt le, ne. */
  ne: number;
  quiet: V128;
  default: V128;
}
const single: Format = {
  suffix: 's',
  bytes: 4,
  size: 'd',
  ne: 66,
  quiet: v128op(17, i32.const(0x0040_0000)),
  default: v128op(17, i32.const(0xffc0_0000)),
};
const double: Format = {
  suffix: 'd',
  bytes: 8,
  size: 'q',
  ne: 72,
  quiet: v128op(18, i64.const(0x0008_0000_0000_0000n)),
  default: v128op(18, i64.const(0xfff8_0000_0000_0000n)),
};

/** Where the result is NaN: the first operand's NaN made quiet, else the second's, else the default NaN. */
function mendNan(cx: Context, format: Format, r: V128, a: V128, b: V128): V128 {
  const { f } = cx;
  const result = f.local('v128');
  f.set(result, r);
  const nan = (v: V128): V128 => v128op(format.ne, v, v);
  f.if(v128test(83, nan(result)), () => {
    const quiet = (v: V128): V128 => v128op(80, v, format.quiet);
    const second = v128op(82, quiet(b), format.default, nan(b));
    const right = v128op(82, quiet(a), second, nan(a));
    f.set(result, v128op(82, right, result, nan(result)));
  });
  return result;
}

type Operation = (cx: Context, a: V128, b: V128) => V128;

/** ADDPS ADDSS ADDPD ADDSD and their like. */
function family(name: string, opcode: string, operation: (format: Format) => Operation): Row[] {
  return [single, double].flatMap((format) => {
    const op = operation(format);
    const packedPrefix = format === single ? 'np' : '66';
    const scalarPrefix = format === single ? 'f3' : 'f2';
    return [
      row(
        `${name}p${format.suffix}`,
        [`${packedPrefix} 0f ${opcode} Vx,Wx`],
        (cx) => {
          const b = source(cx, 1);
          setVector(cx, 0, op(cx, cx.readVector(0), b));
        },
        VECTOR,
      ),
      row(
        `${name}s${format.suffix}`,
        [`${scalarPrefix} 0f ${opcode} Vx,W${format.size}`],
        (cx) => {
          const b = scalar(cx, 1);
          const a = cx.readVector(0);
          // The other lanes would only make needless NaNs.
          setVector(cx, 0, mergeLow(op(cx, lowOnly(a, format), lowOnly(b, format)), a, format.bytes));
        },
        VECTOR,
      ),
    ];
  });
}
const lowOnly = (v: V128, format: Format): V128 => mergeLow(v, v128.zero(), format.bytes);

const arithmetic =
  (singleOp: number, doubleOp: number) =>
  (format: Format): Operation =>
  (cx, a, b) => {
    const x = cx.f.let(a);
    const y = cx.f.let(b);
    return mendNan(cx, format, v128op(format === single ? singleOp : doubleOp, x, y), x, y);
  };
/** MINPS and the like give the second operand when either is NaN or both are zero: WebAssembly's pmin turned round. */
const extreme =
  (singleOp: number, doubleOp: number) =>
  (format: Format): Operation =>
  (_cx, a, b) =>
    v128op(format === single ? singleOp : doubleOp, b, a);
const squareRoot =
  (format: Format): Operation =>
  (cx, _a, b) => {
    const y = cx.f.let(b);
    return mendNan(cx, format, v128op(format === single ? 227 : 239, y), y, y);
  };
/** RCP and RSQRT: full precision instead of the processors' tables, within the architecture's error bound. */
const estimate = (name: string, opcode: string, root: boolean): Row[] => {
  const op = (cx: Context, b: V128): V128 => {
    const y = cx.f.let(b);
    const value = root ? v128op(227, y) : y;
    return mendNan(cx, single, v128op(231, v128op(19, f32.const(1)), value), y, y);
  };
  return [
    row(`${name}ps`, [`np 0f ${opcode} Vx,Wx`], (cx) => setVector(cx, 0, op(cx, source(cx, 1))), VECTOR),
    row(
      `${name}ss`,
      [`f3 0f ${opcode} Vx,Wd`],
      (cx) => {
        const r = op(cx, lowOnly(scalar(cx, 1), single));
        setVector(cx, 0, mergeLow(r, cx.readVector(0), 4));
      },
      VECTOR,
    ),
  ];
};

/** CMPPS and the like: predicates eq lt le unord, and their negations, by the immediate. */
function compare(cx: Context, format: Format, a: V128, b: V128): V128 {
  const { f } = cx;
  const base = format === single ? 65 : 71;
  const predicate = f.let(i32.and(imm(cx), i32.const(7)));
  const r = f.local('v128');
  const which = (n: number): I32 => i32.eq(i32.and(predicate, i32.const(3)), i32.const(n));
  f.set(r, v128op(80, v128op(base + 1, a, a), v128op(base + 1, b, b)));
  f.if(which(0), () => f.set(r, v128op(base, a, b)));
  f.if(which(1), () => f.set(r, v128op(base + 2, a, b)));
  f.if(which(2), () => f.set(r, v128op(base + 4, a, b)));
  f.if(i32.and(predicate, i32.const(4)), () => f.set(r, v128op(77, r)));
  return r;
}
const compareRows = (format: Format): Row[] => [
  row(
    `cmpp${format.suffix}`,
    [`${format === single ? 'np' : '66'} 0f c2 Vx,Wx,Ib`],
    (cx) => {
      const b = source(cx, 1);
      setVector(cx, 0, compare(cx, format, cx.readVector(0), b));
    },
    VECTOR,
  ),
  row(
    `cmps${format.suffix}`,
    [`${format === single ? 'f3' : 'f2'} 0f c2 Vx,W${format.size},Ib`],
    (cx) => {
      const b = scalar(cx, 1);
      const a = cx.readVector(0);
      setVector(cx, 0, mergeLow(compare(cx, format, a, b), a, format.bytes));
    },
    VECTOR,
  ),
];

const asF32 = (v: I64): F32 => f32.reinterpret_i32(i32.wrap(v));
const asF64 = (v: I64): F64 => f64.reinterpret_i64(v);

/** COMISS and UCOMISS: ZF PF CF; all three when unordered. */
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

/** Rounds to an integral value by MXCSR.RC or an immediate's two bits: nearest, down, up, towards zero. */
function roundScalar(cx: Context, v: F64, mode: I32): F64 {
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
const mxcsrMode = (): I32 =>
  i32.and(i32.shr_u(i32.load(i32.const(STATE.mxcsr)), i32.const(13)), i32.const(3));

/** A float's value as an integer of `bytes`; what does not fit gives the integer indefinite, 1 followed by zeros. */
function toInteger(cx: Context, v: F64, bytes: 4 | 8): I64 {
  const { f } = cx;
  const value = f.let(v);
  const limit = bytes === 4 ? 2 ** 31 : 2 ** 63;
  const fits = i32.and(f64.lt(value, f64.const(limit)), f64.ge(value, f64.const(-limit)));
  return f.let(select(fits, i64.trunc_sat_f64_s(value), i64.const(bytes === 4 ? 0x8000_0000n : 1n << 63n)));
}

const widen = (cx: Context, i: number, format: Format): F64 => {
  const bits = lowLane(cx, i, format.bytes);
  return format === single ? f64.promote(asF32(bits)) : asF64(bits);
};
const convertRows = (format: Format): Row[] => {
  const prefix = format === single ? 'f3' : 'f2';
  const other = format === single ? double : single;
  return [
    row(
      `cvtts${format.suffix}2si`,
      [`${prefix} 0f 2c Gy,W${format.size}`],
      (cx) => {
        cx.write(0, toInteger(cx, f64.trunc(widen(cx, 1, format)), cx.sizeOf(0) as 4 | 8));
      },
      VECTOR,
    ),
    row(
      `cvts${format.suffix}2si`,
      [`${prefix} 0f 2d Gy,W${format.size}`],
      (cx) => {
        cx.write(0, toInteger(cx, roundScalar(cx, widen(cx, 1, format), mxcsrMode()), cx.sizeOf(0) as 4 | 8));
      },
      VECTOR,
    ),
    row(
      `cvtsi2s${format.suffix}`,
      [`${prefix} 0f 2a Vx,Ey`],
      (cx) => {
        const size = cx.sizeOf(1);
        const v = cx.read(1);
        const wide = size === 4 ? i64.extend32_s(v) : v;
        if (format === single) cx.f.storeF32(cx.slot(0), 0, f32.convert_i64_s(wide));
        else cx.f.storeF64(cx.slot(0), 0, f64.convert_i64_s(wide));
      },
      VECTOR,
    ),
    row(
      `cvts${format.suffix}2s${other.suffix}`,
      [`${prefix} 0f 5a Vx,W${format.size}`],
      (cx) => {
        const bits = lowLane(cx, 1, format.bytes);
        const { f } = cx;
        const isNan = format === single ? f32.ne(asF32(bits), asF32(bits)) : f64.ne(asF64(bits), asF64(bits));
        // A NaN keeps its sign and the payload's upper bits.
        f.if(
          isNan,
          () => {
            if (format === single) {
              const sign = i64.shl(i64.and(bits, i64.const(0x8000_0000)), i64.const(32));
              const payload = i64.shl(i64.and(bits, i64.const(0x3f_ffff)), i64.const(29));
              f.store64(cx.slot(0), 0, i64.or(i64.or(sign, payload), i64.const(0x7ff8_0000_0000_0000n)));
            } else {
              const sign = i64.and(i64.shr_u(bits, i64.const(32)), i64.const(0x8000_0000));
              const payload = i64.and(i64.shr_u(bits, i64.const(29)), i64.const(0x3f_ffff));
              f.store64(cx.slot(0), 0, i64.or(i64.or(sign, payload), i64.const(0x7fc0_0000)), 4);
            }
          },
          () => {
            if (format === single) f.storeF64(cx.slot(0), 0, f64.promote(asF32(bits)));
            else f.storeF32(cx.slot(0), 0, f32.demote(asF64(bits)));
          },
        );
      },
      VECTOR,
    ),
  ];
};

/** Packed float to 32-bit integers: what does not fit becomes 0x80000000. */
function packedToInt32(cx: Context, v: V128, mode: I32 | 'truncate'): V128 {
  const { f } = cx;
  const value = f.local('v128');
  f.set(value, v);
  if (mode === 'truncate') f.set(value, v128op(105, value));
  else f.set(value, roundPacked(cx, value, single, mode));
  const fits = v128op(
    78,
    v128op(67, value, v128op(19, f32.const(2 ** 31))),
    v128op(70, value, v128op(19, f32.const(-(2 ** 31)))),
  );
  return v128op(82, v128op(248, value), v128op(17, i32.const(-0x8000_0000)), fits);
}
function packedDoubleToInt32(cx: Context, v: V128, mode: I32 | 'truncate'): V128 {
  const { f } = cx;
  const value = f.let(v);
  const lane = (i: number): I32 => {
    const x = v128.extractF64(value, i);
    return i32.wrap(toInteger(cx, mode === 'truncate' ? f64.trunc(x) : roundScalar(cx, x, mode), 4));
  };
  return v128.replace32(v128.replace32(v128.zero(), 0, lane(0)), 1, lane(1));
}
function roundPacked(cx: Context, v: V128, format: Format, mode: I32): V128 {
  const { f } = cx;
  const [nearest, floor, ceil, trunc] = format === single ? [106, 104, 103, 105] : [148, 117, 116, 122];
  const value = f.let(v);
  const r = f.local('v128');
  const m = f.let(mode);
  f.set(r, v128op(trunc, value));
  f.if(i32.eqz(m), () => f.set(r, v128op(nearest, value)));
  f.if(i32.eq(m, i32.const(1)), () => f.set(r, v128op(floor, value)));
  f.if(i32.eq(m, i32.const(2)), () => f.set(r, v128op(ceil, value)));
  return mendNan(cx, format, r, value, value);
}
/** ROUNDPS and the like: bit 2 of the immediate says MXCSR.RC, otherwise its low two bits. */
const roundMode = (cx: Context): I32 =>
  select(i32.and(imm(cx), i32.const(4)), mxcsrMode(), i32.and(imm(cx), i32.const(3)));

const lowQuad = (cx: Context, i: number): V128 => v128op(18, lowLane(cx, i, 8));

const packedConversions: Row[] = [
  row('cvtdq2ps', ['np 0f 5b Vx,Wx'], (cx) => setVector(cx, 0, v128op(250, source(cx, 1))), VECTOR),
  row(
    'cvtps2dq',
    ['66 0f 5b Vx,Wx'],
    (cx) => setVector(cx, 0, packedToInt32(cx, source(cx, 1), mxcsrMode())),
    VECTOR,
  ),
  row(
    'cvttps2dq',
    ['f3 0f 5b Vx,Wx'],
    (cx) => setVector(cx, 0, packedToInt32(cx, source(cx, 1), 'truncate')),
    VECTOR,
  ),
  row('cvtdq2pd', ['f3 0f e6 Vx,Wq'], (cx) => setVector(cx, 0, v128op(254, lowQuad(cx, 1))), VECTOR),
  row(
    'cvtpd2dq',
    ['f2 0f e6 Vx,Wx'],
    (cx) => setVector(cx, 0, packedDoubleToInt32(cx, source(cx, 1), mxcsrMode())),
    VECTOR,
  ),
  row(
    'cvttpd2dq',
    ['66 0f e6 Vx,Wx'],
    (cx) => setVector(cx, 0, packedDoubleToInt32(cx, source(cx, 1), 'truncate')),
    VECTOR,
  ),
  row('cvtps2pd', ['np 0f 5a Vx,Wq'], (cx) => setVector(cx, 0, v128op(95, lowQuad(cx, 1))), VECTOR),
  row('cvtpd2ps', ['66 0f 5a Vx,Wx'], (cx) => setVector(cx, 0, v128op(94, source(cx, 1))), VECTOR),
];

const shufps = (cx: Context): void => {
  const b = source(cx, 1);
  const a = cx.readVector(0);
  const { f } = cx;
  const control = f.let(imm(cx));
  const index = (shift: number, bits: number, size: number): I32 =>
    i32.mul(i32.and(i32.shr_u(control, i32.const(shift)), i32.const(bits)), i32.const(size));
  const swizzle = (v: V128, first: I32, second: I32, size: number): V128 => {
    const one = f.let(first);
    const two = f.let(second);
    let indices: V128 = v128.zero();
    for (let i = 0; i < 2 * size; i++) {
      indices = v128.replace8(indices, i, i32.add(i < size ? one : two, i32.const(i % size)));
    }
    return v128op(14, v, indices);
  };
  const low = swizzle(a, index(0, 3, 4), index(2, 3, 4), 4);
  const high = swizzle(b, index(4, 3, 4), index(6, 3, 4), 4);
  setVector(cx, 0, v128.shuffle(low, high, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]));
};
const shufpd = (cx: Context): void => {
  const b = source(cx, 1);
  const a = cx.readVector(0);
  const control = cx.f.let(imm(cx));
  const low = select(i32.and(control, i32.const(1)), v128.extract64(a, 1), v128.extract64(a, 0));
  const high = select(i32.and(control, i32.const(2)), v128.extract64(b, 1), v128.extract64(b, 0));
  setVector(cx, 0, v128.replace64(v128op(18, low), 1, high));
};

export const sseFloat: Row[] = [
  ...family('add', '58', arithmetic(228, 240)),
  ...family('mul', '59', arithmetic(230, 242)),
  ...family('sub', '5c', arithmetic(229, 241)),
  ...family('div', '5e', arithmetic(231, 243)),
  ...family('min', '5d', extreme(234, 246)),
  ...family('max', '5f', extreme(235, 247)),
  ...family('sqrt', '51', squareRoot),
  ...estimate('rcp', '53', false),
  ...estimate('rsqrt', '52', true),
  ...compareRows(single),
  ...compareRows(double),
  row('ucomiss', ['np 0f 2e Vx,Wd', 'np 0f 2f Vx,Wd'], comi(single), VECTOR),
  row('ucomisd', ['66 0f 2e Vx,Wq', '66 0f 2f Vx,Wq'], comi(double), VECTOR),
  ...convertRows(single),
  ...convertRows(double),
  ...packedConversions,
  row('shufps', ['np 0f c6 Vx,Wx,Ib'], shufps, VECTOR),
  row('shufpd', ['66 0f c6 Vx,Wx,Ib'], shufpd, VECTOR),
  row(
    'roundps',
    ['66 0f 3a 08 Vx,Wx,Ib'],
    (cx) => setVector(cx, 0, roundPacked(cx, source(cx, 1), single, roundMode(cx))),
    VECTOR,
  ),
  row(
    'roundpd',
    ['66 0f 3a 09 Vx,Wx,Ib'],
    (cx) => setVector(cx, 0, roundPacked(cx, source(cx, 1), double, roundMode(cx))),
    VECTOR,
  ),
  row(
    'roundss',
    ['66 0f 3a 0a Vx,Wd,Ib'],
    (cx) => {
      const r = roundPacked(cx, lowOnly(scalar(cx, 1), single), single, roundMode(cx));
      setVector(cx, 0, mergeLow(r, cx.readVector(0), 4));
    },
    VECTOR,
  ),
  row(
    'roundsd',
    ['66 0f 3a 0b Vx,Wq,Ib'],
    (cx) => {
      const r = roundPacked(cx, lowOnly(scalar(cx, 1), double), double, roundMode(cx));
      setVector(cx, 0, mergeLow(r, cx.readVector(0), 8));
    },
    VECTOR,
  ),
];
