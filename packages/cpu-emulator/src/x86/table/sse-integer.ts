import { type I32, i32, i64, select, type V128, v128, v128op } from '@xenolith/wasm-builder';
import type { Row } from '../row.js';
import type { Context } from '../semantics.js';
import { SIMD } from './simd.js';
import {
  bitOf,
  imm,
  iota,
  joined,
  packed,
  packedBy,
  plain,
  select128,
  setVector,
  source,
  unary,
  vector,
} from './sse-common.js';
import { range } from './vectors.js';

/** Shifts by a count in a register or memory, or immediate; counts of the lane's width or more give zero (or all sign). */
function shifts(name: string, opcode: string, group: string, op: number, width: 16 | 32 | 64): Row[] {
  const arithmetic = op === SIMD.i16x8_shr_s || op === SIMD.i32x4_shr_s;
  const shift = (cx: Context, value: V128, count: I32, tooMuch: I32): V128 => {
    if (arithmetic) return v128op(op, value, select(tooMuch, i32.const(width - 1), count));
    const { f } = cx;
    const r = f.local('v128');
    f.if(
      tooMuch,
      () => f.set(r, v128.zero()),
      () => f.set(r, v128op(op, value, count)),
    );
    return r;
  };
  return [
    vector(name, [`66 0f ${opcode} Vx,Wx`, `np 0f ${opcode} Pq,Qq`], (cx) => {
      const count = cx.f.let(v128.extract64(source(cx, 1), 0));
      const tooMuch = cx.f.let(i64.ge_u(count, i64.const(width)));
      setVector(cx, 0, shift(cx, cx.readVector(0), i32.wrap(count), tooMuch));
    }),
    vector(name, [`66 0f ${group}r Ux,Ib`, `np 0f ${group}r Nq,Ib`], (cx) => {
      const count = cx.f.let(imm(cx));
      setVector(cx, 0, shift(cx, cx.readVector(0), count, i32.ge_u(count, i32.const(width))));
    }),
  ];
}

/** PSLLDQ, PSRLDQ: a swizzle whose indices run out of range; it gives zero for each of those. */
const byteShift = (name: string, group: string, left: boolean): Row =>
  vector(name, [`66 0f ${group}r Ux,Ib`], (cx) => {
    const count = cx.f.let(imm(cx));
    const capped = select(i32.gt_u(count, i32.const(16)), i32.const(16), count);
    const moved = v128op(left ? SIMD.i8x16_sub : SIMD.i8x16_add, iota(), v128op(SIMD.i8x16_splat, capped));
    setVector(cx, 0, v128op(SIMD.i8x16_swizzle, cx.readVector(0), moved));
  });

/** Adds or subtracts neighbours of the two operands' concatenation: even lanes with odd lanes. */
function horizontal(name: string, opcode: string, size: 2 | 4, op: number): Row {
  const pick = (odd: number): number[] =>
    range(16, (i) => (Math.floor(i / size) * 2 + odd) * size + (i % size));
  return packed(name, `0f 38 ${opcode}`, (a, b, cx) => {
    const [x, y] = joined(cx, a, b);
    return v128op(op, v128.shuffle(x, y, pick(0)), v128.shuffle(x, y, pick(1)));
  });
}

/** PSIGN: the lane, its negation or zero by the sign of the other operand's lane. */
const sign = (name: string, opcode: string, sub: number, lessThan: number, equal: number): Row =>
  packed(name, `0f 38 ${opcode}`, (a, b, cx) => {
    const negated = cx.f.let(v128op(sub, v128.zero(), a));
    const signed = select128(negated, a, v128op(lessThan, b, v128.zero()));
    return v128op(SIMD.andnot, signed, v128op(equal, b, v128.zero()));
  });

/** The upper halves of 16-bit products. */
const high16 = (low: number, high: number): ((a: V128, b: V128) => V128) => {
  const odd = range(16, (i) => (i >> 1) * 4 + 2 + (i & 1));
  return (a, b) => v128.shuffle(v128op(low, a, b), v128op(high, a, b), odd);
};
const evenDwords = (v: V128): V128 =>
  v128.shuffle(v, v, [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11]);
/** WebAssembly's Q15 product saturates −1 × −1, which PMULHRSW leaves as 0x8000. */
const roundedProduct = (a: V128, b: V128, cx: Context): V128 => {
  const r = cx.f.let(v128op(SIMD.i16x8_q15mulr_sat_s, a, b));
  const least = v128op(SIMD.i16x8_splat, i32.const(-0x8000));
  const both = v128op(SIMD.and, v128op(SIMD.i16x8_eq, a, least), v128op(SIMD.i16x8_eq, b, least));
  return select128(least, r, both);
};
const unsignedTimesSigned = (a: V128, b: V128): V128 => {
  const product = (unsigned: number, signed: number): V128 =>
    v128op(SIMD.i16x8_mul, v128op(unsigned, a), v128op(signed, b));
  const low = product(SIMD.i16x8_extend_low_i8x16_u, SIMD.i16x8_extend_low_i8x16_s);
  const high = product(SIMD.i16x8_extend_high_i8x16_u, SIMD.i16x8_extend_high_i8x16_s);
  const even = range(16, (i) => (i >> 1) * 4 + (i & 1));
  const odd = even.map((i) => i + 2);
  return v128op(SIMD.i16x8_add_sat_s, v128.shuffle(low, high, even), v128.shuffle(low, high, odd));
};

/** |a − b| of unsigned bytes: one of the two saturating differences is zero. */
const distance = (a: V128, b: V128): V128 =>
  v128op(SIMD.or, v128op(SIMD.i8x16_sub_sat_u, a, b), v128op(SIMD.i8x16_sub_sat_u, b, a));
/** Sums of eight distances: pairs to words, pairs to doublewords, then the two halves of each quadword. */
const sumOfDistances = (a: V128, b: V128, cx: Context): V128 => {
  const words = v128op(SIMD.i16x8_extadd_pairwise_i8x16_u, distance(a, b));
  const dwords = cx.f.let(v128op(SIMD.i32x4_extadd_pairwise_i16x8_u, words));
  const sums = v128op(SIMD.i64x2_add, dwords, v128op(SIMD.i64x2_shr_u, dwords, i32.const(32)));
  return v128op(SIMD.and, sums, v128op(SIMD.i64x2_splat, i64.const(0xffff)));
};

/** MPSADBW: distances of one group of four bytes of the source to eight neighbouring groups of the destination. */
const slidingDistances = (a: V128, b: V128, cx: Context): V128 => {
  const { f } = cx;
  const control = f.let(imm(cx));
  const start = (bytes: I32): V128 =>
    v128op(SIMD.i8x16_add, iota(), v128op(SIMD.i8x16_splat, i32.shl(bytes, i32.const(2))));
  const from = f.let(v128op(SIMD.i8x16_swizzle, a, start(bitOf(control, 2))));
  const group = f.let(v128op(SIMD.i8x16_swizzle, b, start(i32.and(control, i32.const(3)))));
  const one = (k: number): V128 => {
    const neighbours = v128.shuffle(
      from,
      from,
      range(16, (i) => (i + k) & 15),
    );
    const same = v128.shuffle(group, group, new Array<number>(16).fill(k));
    return v128op(SIMD.i16x8_extend_low_i8x16_u, distance(neighbours, same));
  };
  const add = (x: V128, y: V128): V128 => v128op(SIMD.i16x8_add, x, y);
  return add(add(one(0), one(1)), add(one(2), one(3)));
};

/** PHMINPOSUW: the least unsigned word and its place; the first one counts. */
const leastWord = (v: V128, cx: Context): V128 => {
  const { f } = cx;
  const least = f.local('i32');
  f.set(least, v128.extract16_u(v, 0));
  for (let i = 1; i < 8; i++) {
    // Place above value: a smaller value wins, an equal one keeps its lower place.
    const candidate = v128.extract16_u(v, i);
    const smaller = i32.lt_u(candidate, i32.and(least, i32.const(0xffff)));
    f.if(smaller, () => f.set(least, i32.or(v128.extract16_u(v, i), i32.const(i << 16))));
  }
  return v128.replace32(v128.zero(), 0, least);
};

export const sseInteger: Row[] = [
  plain('paddb', '0f fc', SIMD.i8x16_add),
  plain('paddw', '0f fd', SIMD.i16x8_add),
  plain('paddd', '0f fe', SIMD.i32x4_add),
  plain('paddq', '0f d4', SIMD.i64x2_add),
  plain('psubb', '0f f8', SIMD.i8x16_sub),
  plain('psubw', '0f f9', SIMD.i16x8_sub),
  plain('psubd', '0f fa', SIMD.i32x4_sub),
  plain('psubq', '0f fb', SIMD.i64x2_sub),
  plain('paddsb', '0f ec', SIMD.i8x16_add_sat_s),
  plain('paddsw', '0f ed', SIMD.i16x8_add_sat_s),
  plain('paddusb', '0f dc', SIMD.i8x16_add_sat_u),
  plain('paddusw', '0f dd', SIMD.i16x8_add_sat_u),
  plain('psubsb', '0f e8', SIMD.i8x16_sub_sat_s),
  plain('psubsw', '0f e9', SIMD.i16x8_sub_sat_s),
  plain('psubusb', '0f d8', SIMD.i8x16_sub_sat_u),
  plain('psubusw', '0f d9', SIMD.i16x8_sub_sat_u),
  plain('pavgb', '0f e0', SIMD.i8x16_avgr_u),
  plain('pavgw', '0f e3', SIMD.i16x8_avgr_u),
  plain('pminub', '0f da', SIMD.i8x16_min_u),
  plain('pmaxub', '0f de', SIMD.i8x16_max_u),
  plain('pminsw', '0f ea', SIMD.i16x8_min_s),
  plain('pmaxsw', '0f ee', SIMD.i16x8_max_s),
  plain('pminsb', '66 0f 38 38', SIMD.i8x16_min_s),
  plain('pminsd', '66 0f 38 39', SIMD.i32x4_min_s),
  plain('pminuw', '66 0f 38 3a', SIMD.i16x8_min_u),
  plain('pminud', '66 0f 38 3b', SIMD.i32x4_min_u),
  plain('pmaxsb', '66 0f 38 3c', SIMD.i8x16_max_s),
  plain('pmaxsd', '66 0f 38 3d', SIMD.i32x4_max_s),
  plain('pmaxuw', '66 0f 38 3e', SIMD.i16x8_max_u),
  plain('pmaxud', '66 0f 38 3f', SIMD.i32x4_max_u),
  unary('pabsb', '0f 38 1c', (v) => v128op(SIMD.i8x16_abs, v)),
  unary('pabsw', '0f 38 1d', (v) => v128op(SIMD.i16x8_abs, v)),
  unary('pabsd', '0f 38 1e', (v) => v128op(SIMD.i32x4_abs, v)),
  plain('pmullw', '0f d5', SIMD.i16x8_mul),
  plain('pmulld', '66 0f 38 40', SIMD.i32x4_mul),
  plain('pmaddwd', '0f f5', SIMD.i32x4_dot_i16x8_s),
  packed('pmulhw', '0f e5', high16(SIMD.i32x4_extmul_low_i16x8_s, SIMD.i32x4_extmul_high_i16x8_s)),
  packed('pmulhuw', '0f e4', high16(SIMD.i32x4_extmul_low_i16x8_u, SIMD.i32x4_extmul_high_i16x8_u)),
  packed('pmuludq', '0f f4', (a, b) => v128op(SIMD.i64x2_extmul_low_i32x4_u, evenDwords(a), evenDwords(b))),
  packed('pmuldq', '66 0f 38 28', (a, b) =>
    v128op(SIMD.i64x2_extmul_low_i32x4_s, evenDwords(a), evenDwords(b)),
  ),
  packed('pmulhrsw', '0f 38 0b', roundedProduct),
  packed('pmaddubsw', '0f 38 04', unsignedTimesSigned),
  packed('psadbw', '0f f6', sumOfDistances),
  packedBy('mpsadbw', '66 0f 3a 42', slidingDistances),
  unary('phminposuw', '66 0f 38 41', leastWord),
  horizontal('phaddw', '01', 2, SIMD.i16x8_add),
  horizontal('phaddd', '02', 4, SIMD.i32x4_add),
  horizontal('phaddsw', '03', 2, SIMD.i16x8_add_sat_s),
  horizontal('phsubw', '05', 2, SIMD.i16x8_sub),
  horizontal('phsubd', '06', 4, SIMD.i32x4_sub),
  horizontal('phsubsw', '07', 2, SIMD.i16x8_sub_sat_s),
  sign('psignb', '08', SIMD.i8x16_sub, SIMD.i8x16_lt_s, SIMD.i8x16_eq),
  sign('psignw', '09', SIMD.i16x8_sub, SIMD.i16x8_lt_s, SIMD.i16x8_eq),
  sign('psignd', '0a', SIMD.i32x4_sub, SIMD.i32x4_lt_s, SIMD.i32x4_eq),
  ...shifts('psllw', 'f1', '71/6', SIMD.i16x8_shl, 16),
  ...shifts('pslld', 'f2', '72/6', SIMD.i32x4_shl, 32),
  ...shifts('psllq', 'f3', '73/6', SIMD.i64x2_shl, 64),
  ...shifts('psrlw', 'd1', '71/2', SIMD.i16x8_shr_u, 16),
  ...shifts('psrld', 'd2', '72/2', SIMD.i32x4_shr_u, 32),
  ...shifts('psrlq', 'd3', '73/2', SIMD.i64x2_shr_u, 64),
  ...shifts('psraw', 'e1', '71/4', SIMD.i16x8_shr_s, 16),
  ...shifts('psrad', 'e2', '72/4', SIMD.i32x4_shr_s, 32),
  byteShift('pslldq', '73/7', true),
  byteShift('psrldq', '73/3', false),
];
