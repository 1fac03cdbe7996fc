import { type I32, i32, i64, select, type V128, v128, v128op } from '@xenolith/wasm-builder';
import type { Row } from '../row.js';
import type { Context } from '../semantics.js';
import { xmmSlot } from '../state.js';
import { setMmx } from './mmx-state.js';
import { SIMD } from './simd.js';
import {
  bitOf,
  imm,
  iota,
  joined,
  lowLane,
  packed,
  packedBy,
  plain,
  select128,
  setVector,
  source,
  vector,
} from './sse-common.js';
import { laneMask, range } from './vectors.js';

/** Lanes `a0 b0 a1 b1 …` from the low or high half. */
function unpack(name: string, encodings: readonly string[], size: 1 | 2 | 4 | 8, high: boolean): Row {
  const bytes = (width: number): number[] =>
    range(16, (i) => {
      const lane = Math.floor(i / size);
      const from = (((lane >> 1) * size + (i % size)) & 7) + (high ? width / 2 : 0);
      return lane & 1 ? 16 + from : from;
    });
  return vector(name, encodings, (cx) => {
    const b = source(cx, 1);
    setVector(cx, 0, v128.shuffle(cx.readVector(0), b, bytes(cx.mmx ? 8 : 16)));
  });
}
/** The low halves of MMX registers are combined with 32 bits of memory. */
const unpackRow = (name: string, encoding: string, size: 1 | 2 | 4 | 8, high: boolean): Row =>
  unpack(
    name,
    encoding.startsWith('0f')
      ? [`66 ${encoding} Vx,Wx`, `np ${encoding} Pq,Q${high ? 'q' : 'd'}`]
      : [`${encoding} Vx,Wx`],
    size,
    high,
  );

/** Lanes of both operands as narrower ones, saturated. */
const pack = (name: string, encoding: string, op: number): Row =>
  packed(name, encoding, (a, b, cx) => v128op(op, ...joined(cx, a, b)));

/**
 * A shuffle whose lane numbers come from the immediate, two bits each from bit `shift` on: lane `lanes[i]` of the result
 * gets the lane that the pair i names, counted from byte `base`.
 */
function shuffleBy(
  cx: Context,
  value: V128,
  lanes: readonly number[],
  bytes: 2 | 4,
  base = 0,
  shift = 0,
): V128 {
  const { f } = cx;
  const control = f.let(imm(cx));
  const index = f.local('v128');
  f.set(index, iota());
  for (const [i, lane] of lanes.entries()) {
    const selector = i32.and(i32.shr_u(control, i32.const(2 * i + shift)), i32.const(3));
    const first = f.let(i32.add(i32.mul(selector, i32.const(bytes)), i32.const(base)));
    for (let b = 0; b < bytes; b++) {
      f.set(index, v128.replace8(index, lane * bytes + b, i32.add(first, i32.const(b))));
    }
  }
  return f.let(v128op(SIMD.i8x16_swizzle, value, index));
}
const shuffle = (name: string, encoding: string, lanes: readonly number[], bytes: 2 | 4, base = 0): Row =>
  vector(name, [`${encoding} Vx,Wx,Ib`], (cx) =>
    setVector(cx, 0, shuffleBy(cx, source(cx, 1), lanes, bytes, base)),
  );
/** Two lanes of the destination, then two of the source. */
const shuffleSingle = (a: V128, b: V128, cx: Context): V128 => {
  const low = shuffleBy(cx, a, [0, 1], 4);
  const high = shuffleBy(cx, b, [0, 1], 4, 0, 4);
  return v128.shuffle(
    low,
    high,
    range(16, (i) => (i < 8 ? i : 8 + i)),
  );
};
const shuffleDouble = (a: V128, b: V128, cx: Context): V128 => {
  const half = (v: V128, n: number) => select(bitOf(imm(cx), n), v128.extract64(v, 1), v128.extract64(v, 0));
  return v128.replace64(v128op(SIMD.i64x2_splat, half(a, 0)), 1, half(b, 1));
};

/** A set top bit clears the byte, otherwise the low four bits choose: WebAssembly's swizzle clears from 16 on. */
const shuffleBytes = (a: V128, b: V128, cx: Context): V128 =>
  v128op(
    SIMD.i8x16_swizzle,
    a,
    v128op(SIMD.and, b, v128op(SIMD.i8x16_splat, i32.const(cx.mmx ? 0x87 : 0x8f))),
  );

/** 16 bytes of destination:source from the immediate's byte on. */
const align = (high: V128, low: V128, cx: Context): V128 => {
  const index = cx.f.let(v128op(SIMD.i8x16_add_sat_u, iota(), v128op(SIMD.i8x16_splat, imm(cx))));
  if (cx.mmx) return v128op(SIMD.i8x16_swizzle, joined(cx, low, high)[0], index);
  const above = v128op(SIMD.i8x16_sub, index, v128op(SIMD.i8x16_splat, i32.const(16)));
  return v128op(SIMD.or, v128op(SIMD.i8x16_swizzle, low, index), v128op(SIMD.i8x16_swizzle, high, above));
};

/** Address of the lane that the immediate names, in the register at `slot`. */
const laneAddress = (cx: Context, slot: I32, size: number): I32 =>
  i32.add(slot, i32.mul(i32.and(imm(cx), i32.const((cx.mmx ? 8 : 16) / size - 1)), i32.const(size)));

type LaneSize = 1 | 2 | 4 | 8;
const insert =
  (size?: LaneSize) =>
  (cx: Context): void => {
    const bytes = size ?? (cx.sizeOf(1) as LaneSize);
    const v = cx.read(1);
    cx.f.store64(laneAddress(cx, cx.slot(0), bytes), 0, v, bytes);
    if (cx.mmx) setMmx(cx, 0, i64.load(cx.slot(0)));
  };
const extract =
  (size?: LaneSize) =>
  (cx: Context): void => {
    const bytes = size ?? (cx.sizeOf(0) as LaneSize);
    const load = { 1: i64.load8_u, 2: i64.load16_u, 4: i64.load32_u, 8: i64.load }[bytes];
    cx.write(0, cx.f.let(load(laneAddress(cx, cx.slot(1), bytes))));
  };

/** INSERTPS: bits 6–7 name the source's lane (memory has one), 4–5 the destination's, 0–3 the lanes to clear. */
const insertSingle = (cx: Context): void => {
  const { f } = cx;
  const control = f.let(imm(cx));
  const lane = (shift: number): I32 => i32.and(i32.shr_u(control, i32.const(shift - 2)), i32.const(0b1100));
  const v = cx.isMemory(1) ? lowLane(cx, 1, 4) : f.let(i64.load32_u(i32.add(cx.slot(1), lane(6))));
  f.store64(i32.add(cx.slot(0), lane(4)), 0, v, 4);
  setVector(cx, 0, v128op(SIMD.andnot, cx.readVector(0), laneMask(control, 4)));
};

/** PMOVSX, PMOVZX from the low `bytes` of the source. */
const extend = (name: string, opcode: string, bytes: 2 | 4 | 8, steps: readonly number[]): Row =>
  vector(name, [`66 0f 38 ${opcode} Vx,W${{ 2: 'w', 4: 'd', 8: 'q' }[bytes]}`], (cx) => {
    const v = cx.isMemory(1) ? v128op(SIMD.i64x2_splat, cx.read(1)) : cx.readVector(1);
    setVector(
      cx,
      0,
      steps.reduce((value, step) => v128op(step, value), v),
    );
  });
const { i16x8_extend_low_i8x16_s: bw, i32x4_extend_low_i16x8_s: wd, i64x2_extend_low_i32x4_s: dq } = SIMD;
const { i16x8_extend_low_i8x16_u: ubw, i32x4_extend_low_i16x8_u: uwd, i64x2_extend_low_i32x4_u: udq } = SIMD;

/** PBLENDW and the like: each bit of the immediate takes a lane of the source. */
const blend = (name: string, opcode: string, size: 2 | 4 | 8): Row =>
  packedBy(name, `66 0f 3a ${opcode}`, (a, b, cx) => select128(b, a, laneMask(cx.f.let(imm(cx)), size)));

/** PBLENDVB and the like: the top bits of XMM0's lanes choose. */
const blendByRegister = (name: string, opcode: string, shift: number, width: number): Row =>
  packed(name, `66 0f 38 ${opcode}`, (a, b) =>
    select128(b, a, v128op(shift, v128.load(i32.const(xmmSlot(0))), i32.const(width - 1))),
  );

export const sseShuffle: Row[] = [
  unpackRow('punpcklbw', '0f 60', 1, false),
  unpackRow('punpcklwd', '0f 61', 2, false),
  unpackRow('punpckldq', '0f 62', 4, false),
  unpackRow('punpcklqdq', '66 0f 6c', 8, false),
  unpackRow('punpckhbw', '0f 68', 1, true),
  unpackRow('punpckhwd', '0f 69', 2, true),
  unpackRow('punpckhdq', '0f 6a', 4, true),
  unpackRow('punpckhqdq', '66 0f 6d', 8, true),
  unpackRow('unpcklps', 'np 0f 14', 4, false),
  unpackRow('unpcklpd', '66 0f 14', 8, false),
  unpackRow('unpckhps', 'np 0f 15', 4, true),
  unpackRow('unpckhpd', '66 0f 15', 8, true),
  pack('packsswb', '0f 63', SIMD.i8x16_narrow_i16x8_s),
  pack('packuswb', '0f 67', SIMD.i8x16_narrow_i16x8_u),
  pack('packssdw', '0f 6b', SIMD.i16x8_narrow_i32x4_s),
  plain('packusdw', '66 0f 38 2b', SIMD.i16x8_narrow_i32x4_u),
  shuffle('pshufd', '66 0f 70', [0, 1, 2, 3], 4),
  shuffle('pshuflw', 'f2 0f 70', [0, 1, 2, 3], 2),
  shuffle('pshufhw', 'f3 0f 70', [4, 5, 6, 7], 2, 8),
  vector('pshufw', ['np 0f 70 Pq,Qq,Ib'], (cx) =>
    setVector(cx, 0, shuffleBy(cx, source(cx, 1), [0, 1, 2, 3], 2)),
  ),
  packedBy('shufps', 'np 0f c6', shuffleSingle),
  packedBy('shufpd', '66 0f c6', shuffleDouble),
  packed('pshufb', '0f 38 00', shuffleBytes),
  packedBy('palignr', '0f 3a 0f', align),
  // The byte comes from a 32-bit register, never from AH and the like.
  vector('pinsrb', ['66 0f 3a 20r Vx,Rd,Ib', '66 0f 3a 20 Vx,Mb,Ib'], insert(1)),
  vector('pinsrw', ['66 0f c4 Vx,Ew,Ib', 'np 0f c4 Pq,Ew,Ib'], insert(2)),
  vector('pinsrd', ['66 0f 3a 22 Vx,Ey,Ib'], insert()),
  vector('pextrb', ['66 0f 3a 14r Rd,Vx,Ib', '66 0f 3a 14 Mb,Vx,Ib'], extract(1)),
  vector(
    'pextrw',
    ['66 0f c5 Gd,Ux,Ib', 'np 0f c5 Gd,Nq,Ib', '66 0f 3a 15r Rd,Vx,Ib', '66 0f 3a 15 Mw,Vx,Ib'],
    extract(2),
  ),
  vector('pextrd', ['66 0f 3a 16 Ey,Vx,Ib'], extract()),
  vector('extractps', ['66 0f 3a 17 Ed,Vx,Ib'], extract(4)),
  vector('insertps', ['66 0f 3a 21 Vx,Wd,Ib'], insertSingle),
  extend('pmovsxbw', '20', 8, [bw]),
  extend('pmovsxbd', '21', 4, [bw, wd]),
  extend('pmovsxbq', '22', 2, [bw, wd, dq]),
  extend('pmovsxwd', '23', 8, [wd]),
  extend('pmovsxwq', '24', 4, [wd, dq]),
  extend('pmovsxdq', '25', 8, [dq]),
  extend('pmovzxbw', '30', 8, [ubw]),
  extend('pmovzxbd', '31', 4, [ubw, uwd]),
  extend('pmovzxbq', '32', 2, [ubw, uwd, udq]),
  extend('pmovzxwd', '33', 8, [uwd]),
  extend('pmovzxwq', '34', 4, [uwd, udq]),
  extend('pmovzxdq', '35', 8, [udq]),
  blend('pblendw', '0e', 2),
  blend('blendps', '0c', 4),
  blend('blendpd', '0d', 8),
  blendByRegister('pblendvb', '10', SIMD.i8x16_shr_s, 8),
  blendByRegister('blendvps', '14', SIMD.i32x4_shr_s, 32),
  blendByRegister('blendvpd', '15', SIMD.i64x2_shr_s, 64),
];
