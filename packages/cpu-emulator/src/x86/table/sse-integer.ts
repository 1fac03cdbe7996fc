import { type I32, i32, i64, select, type V128, v128, v128op, v128test } from '@xenolith/wasm-builder';
import { type Row, row } from '../row.js';
import type { Context } from '../semantics.js';
import { FLAG } from '../state.js';
import { imm, packed, plain, setVector, source, unary, VECTOR } from './sse-common.js';

const range = <T>(n: number, f: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => f(i));
/** Bytes of lanes `a0 b0 a1 b1 …` from the low or high half. */
const interleave = (size: number, high: boolean): number[] =>
  range(16, (i) => {
    const lane = Math.floor(i / size);
    const from = (lane >> 1) * size + (i % size) + (high ? 8 : 0);
    return lane & 1 ? 16 + from : from;
  });
const unpack = (name: string, encoding: string, size: number, high: boolean): Row =>
  packed(name, encoding, (a, b) => v128.shuffle(a, b, interleave(size, high)));

/** Shifts by a count in a register or memory, or immediate; counts of the lane's width or more give zero (or all sign). */
function shifts(
  name: string,
  opcode: string,
  group: string,
  op: number,
  width: number,
  arithmetic = false,
): Row[] {
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
    row(
      name,
      [`66 0f ${opcode} Vx,Wx`],
      (cx) => {
        const count = cx.f.let(v128.extract64(source(cx, 1), 0));
        const tooMuch = cx.f.let(i64.ge_u(count, i64.const(width)));
        setVector(cx, 0, shift(cx, cx.readVector(0), i32.wrap(count), tooMuch));
      },
      VECTOR,
    ),
    row(
      name,
      [`66 0f ${group}r Ux,Ib`],
      (cx) => {
        const count = cx.f.let(imm(cx));
        setVector(cx, 0, shift(cx, cx.readVector(0), count, i32.ge_u(count, i32.const(width))));
      },
      VECTOR,
    ),
  ];
}

/** PSLLDQ, PSRLDQ: whole-register byte shifts, by a swizzle whose indices run out of range. */
const byteShift = (name: string, group: string, left: boolean): Row =>
  row(
    name,
    [`66 0f ${group}r Ux,Ib`],
    (cx) => {
      const count = cx.f.let(imm(cx));
      const capped = select(i32.gt_u(count, i32.const(16)), i32.const(16), count);
      const index = v128.const(range(16, (i) => i));
      const moved = v128op(left ? 113 : 110, index, v128op(15, capped));
      // A swizzle gives zero for every index from 16 on; unsigned wrap-around makes negative ones large.
      setVector(cx, 0, v128op(14, cx.readVector(0), moved));
    },
    VECTOR,
  );

/** A shuffle whose lane numbers come two bits each from the immediate. */
function shuffleBy(cx: Context, value: V128, lanes: readonly number[], bytes: number, base: number): V128 {
  const { f } = cx;
  const control = f.let(imm(cx));
  const index = f.local('v128');
  f.set(index, v128.const(range(16, (i) => i)));
  for (const [i, lane] of lanes.entries()) {
    const selector = i32.and(i32.shr_u(control, i32.const(2 * i)), i32.const(3));
    const first = f.let(i32.add(i32.mul(selector, i32.const(bytes)), i32.const(base)));
    for (let b = 0; b < bytes; b++) {
      f.set(index, v128.replace8(index, lane * bytes + b, i32.add(first, i32.const(b))));
    }
  }
  return v128op(14, value, index);
}
const shuffle = (
  name: string,
  encoding: string,
  lanes: readonly number[],
  bytes: number,
  base: number,
): Row =>
  row(
    name,
    [`${encoding} Vx,Wx,Ib`],
    (cx) => setVector(cx, 0, shuffleBy(cx, source(cx, 1), lanes, bytes, base)),
    VECTOR,
  );

/** Adds or subtracts neighbours of the two operands' concatenation: even lanes with odd lanes. */
function horizontal(name: string, encoding: string, size: 2 | 4, op: number): Row {
  const pick = (odd: number): number[] =>
    range(16, (i) => {
      const lane = Math.floor(i / size) * 2 + odd;
      return lane * size + (i % size);
    });
  return packed(name, encoding, (a, b) =>
    v128op(op, v128.shuffle(a, b, pick(0)), v128.shuffle(a, b, pick(1))),
  );
}

/** PSIGN: the lane, its negation or zero by the sign of the other operand's lane. */
const sign = (name: string, encoding: string, zeroSub: number, lessThan: number, equal: number): Row =>
  packed(name, encoding, (a, b, cx) => {
    const negated = cx.f.let(v128op(zeroSub, v128.zero(), a));
    const signed = v128op(82, negated, a, v128op(lessThan, b, v128.zero()));
    return v128op(79, signed, v128op(equal, b, v128.zero()));
  });

/** PMOVSX, PMOVZX from the low `bytes` of the source. */
function extend(name: string, opcode: string, bytes: 2 | 4 | 8, steps: readonly number[]): Row {
  const size = { 2: 'w', 4: 'd', 8: 'q' }[bytes];
  return row(
    name,
    [`66 0f 38 ${opcode} Vx,W${size}`],
    (cx) => {
      let v: V128;
      if (cx.isMemory(1)) {
        const host = cx.readable(cx.address(1), bytes);
        v = v128op(18, bytes === 8 ? i64.load(host) : bytes === 4 ? i64.load32_u(host) : i64.load16_u(host));
      } else v = cx.readVector(1);
      setVector(
        cx,
        0,
        steps.reduce((value, step) => v128op(step, value), v),
      );
    },
    VECTOR,
  );
}

const high16 = (low: number, high: number): ((a: V128, b: V128) => V128) => {
  const odd = range(16, (i) => (i >> 1) * 4 + 2 + (i & 1));
  return (a, b) => v128.shuffle(v128op(low, a, b), v128op(high, a, b), odd);
};
const evenDwords = (v: V128): V128 =>
  v128.shuffle(v, v, [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11]);

const arithmetic: Row[] = [
  plain('paddb', '66 0f fc', 110),
  plain('paddw', '66 0f fd', 142),
  plain('paddd', '66 0f fe', 174),
  plain('paddq', '66 0f d4', 206),
  plain('psubb', '66 0f f8', 113),
  plain('psubw', '66 0f f9', 145),
  plain('psubd', '66 0f fa', 177),
  plain('psubq', '66 0f fb', 209),
  plain('paddsb', '66 0f ec', 111),
  plain('paddsw', '66 0f ed', 143),
  plain('paddusb', '66 0f dc', 112),
  plain('paddusw', '66 0f dd', 144),
  plain('psubsb', '66 0f e8', 114),
  plain('psubsw', '66 0f e9', 146),
  plain('psubusb', '66 0f d8', 115),
  plain('psubusw', '66 0f d9', 147),
  plain('pavgb', '66 0f e0', 123),
  plain('pavgw', '66 0f e3', 155),
  plain('pmullw', '66 0f d5', 149),
  plain('pmulld', '66 0f 38 40', 181),
  plain('pmaddwd', '66 0f f5', 186),
  packed('pmulhw', '66 0f e5', high16(188, 189)),
  packed('pmulhuw', '66 0f e4', high16(190, 191)),
  packed('pmuludq', '66 0f f4', (a, b) => v128op(222, evenDwords(a), evenDwords(b))),
  packed('pmuldq', '66 0f 38 28', (a, b) => v128op(220, evenDwords(a), evenDwords(b))),
  // q15mulr saturates −1 × −1, which PMULHRSW leaves as 0x8000.
  packed('pmulhrsw', '66 0f 38 0b', (a, b, cx) => {
    const r = cx.f.let(v128op(130, a, b));
    const least = v128op(16, i32.const(-0x8000));
    const both = v128op(78, v128op(45, a, least), v128op(45, b, least));
    return v128op(82, least, r, both);
  }),
  packed('pmaddubsw', '66 0f 38 04', (a, b) => {
    const low = v128op(149, v128op(137, a), v128op(135, b));
    const high = v128op(149, v128op(138, a), v128op(136, b));
    const even = range(16, (i) => (i >> 1) * 4 + (i & 1));
    const odd = even.map((i) => i + 2);
    return v128op(143, v128.shuffle(low, high, even), v128.shuffle(low, high, odd));
  }),
  packed('psadbw', '66 0f f6', (a, b) => {
    const difference = v128op(81, v128op(115, a, b), v128op(115, b, a));
    // Sums of eight bytes: pairs to words, pairs to doublewords, then the two halves of each quadword.
    const dwords = v128op(127, v128op(125, difference));
    return v128op(78, v128op(206, dwords, v128op(205, dwords, i32.const(32))), v128op(18, i64.const(0xffff)));
  }),
  plain('pminub', '66 0f da', 119),
  plain('pmaxub', '66 0f de', 121),
  plain('pminsw', '66 0f ea', 150),
  plain('pmaxsw', '66 0f ee', 152),
  plain('pminsb', '66 0f 38 38', 118),
  plain('pminsd', '66 0f 38 39', 182),
  plain('pminuw', '66 0f 38 3a', 151),
  plain('pminud', '66 0f 38 3b', 183),
  plain('pmaxsb', '66 0f 38 3c', 120),
  plain('pmaxsd', '66 0f 38 3d', 184),
  plain('pmaxuw', '66 0f 38 3e', 153),
  plain('pmaxud', '66 0f 38 3f', 185),
  horizontal('phaddw', '66 0f 38 01', 2, 142),
  horizontal('phaddd', '66 0f 38 02', 4, 174),
  horizontal('phaddsw', '66 0f 38 03', 2, 143),
  horizontal('phsubw', '66 0f 38 05', 2, 145),
  horizontal('phsubd', '66 0f 38 06', 4, 177),
  horizontal('phsubsw', '66 0f 38 07', 2, 146),
  sign('psignb', '66 0f 38 08', 113, 37, 35),
  sign('psignw', '66 0f 38 09', 145, 47, 45),
  sign('psignd', '66 0f 38 0a', 177, 57, 55),
  unary('pabsb', '66 0f 38 1c', (v) => v128op(96, v)),
  unary('pabsw', '66 0f 38 1d', (v) => v128op(128, v)),
  unary('pabsd', '66 0f 38 1e', (v) => v128op(160, v)),
];

const logic: Row[] = [
  ...['66 0f db', 'np 0f 54', '66 0f 54'].map((e, i) => plain(['pand', 'andps', 'andpd'][i]!, e, 78)),
  ...['66 0f df', 'np 0f 55', '66 0f 55'].map((e, i) =>
    packed(['pandn', 'andnps', 'andnpd'][i]!, e, (a, b) => v128op(79, b, a)),
  ),
  ...['66 0f eb', 'np 0f 56', '66 0f 56'].map((e, i) => plain(['por', 'orps', 'orpd'][i]!, e, 80)),
  ...['66 0f ef', 'np 0f 57', '66 0f 57'].map((e, i) => plain(['pxor', 'xorps', 'xorpd'][i]!, e, 81)),
  plain('pcmpeqb', '66 0f 74', 35),
  plain('pcmpeqw', '66 0f 75', 45),
  plain('pcmpeqd', '66 0f 76', 55),
  plain('pcmpeqq', '66 0f 38 29', 214),
  plain('pcmpgtb', '66 0f 64', 39),
  plain('pcmpgtw', '66 0f 65', 49),
  plain('pcmpgtd', '66 0f 66', 59),
  plain('pcmpgtq', '66 0f 38 37', 217),
  row(
    'ptest',
    ['66 0f 38 17 Vx,Wx'],
    (cx) => {
      const b = source(cx, 1);
      const a = cx.readVector(0);
      const none = (v: V128): I32 => i32.eqz(v128test(83, v));
      cx.flags.all(
        cx.f.let(i32.or(i32.mul(none(v128op(78, a, b)), i32.const(FLAG.zf)), none(v128op(79, b, a)))),
      );
    },
    VECTOR,
  ),
];

const arrange: Row[] = [
  unpack('punpcklbw', '66 0f 60', 1, false),
  unpack('punpcklwd', '66 0f 61', 2, false),
  unpack('punpckldq', '66 0f 62', 4, false),
  unpack('punpcklqdq', '66 0f 6c', 8, false),
  unpack('punpckhbw', '66 0f 68', 1, true),
  unpack('punpckhwd', '66 0f 69', 2, true),
  unpack('punpckhdq', '66 0f 6a', 4, true),
  unpack('punpckhqdq', '66 0f 6d', 8, true),
  unpack('unpcklps', 'np 0f 14', 4, false),
  unpack('unpcklpd', '66 0f 14', 8, false),
  unpack('unpckhps', 'np 0f 15', 4, true),
  unpack('unpckhpd', '66 0f 15', 8, true),
  plain('packsswb', '66 0f 63', 101),
  plain('packuswb', '66 0f 67', 102),
  plain('packssdw', '66 0f 6b', 133),
  plain('packusdw', '66 0f 38 2b', 134),
  shuffle('pshufd', '66 0f 70', [0, 1, 2, 3], 4, 0),
  shuffle('pshuflw', 'f2 0f 70', [0, 1, 2, 3], 2, 0),
  shuffle('pshufhw', 'f3 0f 70', [4, 5, 6, 7], 2, 8),
  // A set top bit clears the byte, otherwise the low four bits choose: a swizzle clears from 16 on.
  packed('pshufb', '66 0f 38 00', (a, b) => v128op(14, a, v128op(78, b, v128op(15, i32.const(0x8f))))),
  row(
    'palignr',
    ['66 0f 3a 0f Vx,Wx,Ib'],
    (cx) => {
      const low = source(cx, 1);
      const high = cx.readVector(0);
      const count = cx.f.let(imm(cx));
      const index = cx.f.let(v128op(112, v128.const(range(16, (i) => i)), v128op(15, count)));
      const sixteen = v128op(15, i32.const(16));
      setVector(cx, 0, v128op(80, v128op(14, low, index), v128op(14, high, v128op(113, index, sixteen))));
    },
    VECTOR,
  ),
  row('pinsrw', ['66 0f c4 Vx,Ew,Ib'], (cx) => insert(cx, 2), VECTOR),
  row('pinsrb', ['66 0f 3a 20 Vx,Eb,Ib'], (cx) => insert(cx, 1), VECTOR),
  row('pinsrd', ['66 0f 3a 22 Vx,Ey,Ib'], (cx) => insert(cx, cx.sizeOf(1) as 4 | 8), VECTOR),
  row(
    'pextrw',
    ['66 0f c5 Gd,Ux,Ib', '66 0f 3a 15r Rd,Vx,Ib', '66 0f 3a 15 Mw,Vx,Ib'],
    (cx) => extract(cx, 2),
    VECTOR,
  ),
  row('pextrb', ['66 0f 3a 14r Rd,Vx,Ib', '66 0f 3a 14 Mb,Vx,Ib'], (cx) => extract(cx, 1), VECTOR),
  row('pextrd', ['66 0f 3a 16 Ey,Vx,Ib'], (cx) => extract(cx, cx.sizeOf(0) as 4 | 8), VECTOR),
  extend('pmovsxbw', '20', 8, [135]),
  extend('pmovsxbd', '21', 4, [135, 167]),
  extend('pmovsxbq', '22', 2, [135, 167, 199]),
  extend('pmovsxwd', '23', 8, [167]),
  extend('pmovsxwq', '24', 4, [167, 199]),
  extend('pmovsxdq', '25', 8, [199]),
  extend('pmovzxbw', '30', 8, [137]),
  extend('pmovzxbd', '31', 4, [137, 169]),
  extend('pmovzxbq', '32', 2, [137, 169, 201]),
  extend('pmovzxwd', '33', 8, [169]),
  extend('pmovzxwq', '34', 4, [169, 201]),
  extend('pmovzxdq', '35', 8, [201]),
  blendBy('pblendw', '66 0f 3a 0e', 2),
  blendBy('blendps', '66 0f 3a 0c', 4),
  blendBy('blendpd', '66 0f 3a 0d', 8),
];

/** Address of the lane that the immediate names, in the register at `slot`. */
const laneAddress = (cx: Context, slot: I32, size: number): I32 =>
  i32.add(slot, i32.mul(i32.and(imm(cx), i32.const(16 / size - 1)), i32.const(size)));

function insert(cx: Context, size: 1 | 2 | 4 | 8): void {
  const v = cx.read(1);
  cx.f.store64(laneAddress(cx, cx.slot(0), size), 0, v, size);
}

function extract(cx: Context, size: 1 | 2 | 4 | 8): void {
  const from = laneAddress(cx, cx.slot(1), size);
  const v = { 1: i64.load8_u, 2: i64.load16_u, 4: i64.load32_u, 8: i64.load }[size](from);
  cx.write(0, cx.f.let(v));
}

/** PBLENDW and the like: each bit of the immediate takes a lane of the source. */
function blendBy(name: string, encoding: string, size: 2 | 4 | 8): Row {
  return row(
    name,
    [`${encoding} Vx,Wx,Ib`],
    (cx) => {
      const b = source(cx, 1);
      const bits = v128.const(range(16, (i) => (i % size === 0 ? 1 << (i / size) : 0)));
      const wide = { 2: 16, 4: 17, 8: 18 }[size];
      const chosen =
        size === 8
          ? v128op(214, v128op(78, v128op(wide, cx.imm()), bits), bits)
          : v128op(size === 4 ? 55 : 45, v128op(78, v128op(wide, imm(cx)), bits), bits);
      setVector(cx, 0, v128op(82, b, cx.readVector(0), chosen));
    },
    VECTOR,
  );
}

export const sseInteger: Row[] = [
  ...arithmetic,
  ...logic,
  ...arrange,
  ...shifts('psllw', 'f1', '71/6', 139, 16),
  ...shifts('pslld', 'f2', '72/6', 171, 32),
  ...shifts('psllq', 'f3', '73/6', 203, 64),
  ...shifts('psrlw', 'd1', '71/2', 141, 16),
  ...shifts('psrld', 'd2', '72/2', 173, 32),
  ...shifts('psrlq', 'd3', '73/2', 205, 64),
  ...shifts('psraw', 'e1', '71/4', 140, 16, true),
  ...shifts('psrad', 'e2', '72/4', 172, 32, true),
  byteShift('pslldq', '73/7', true),
  byteShift('psrldq', '73/3', false),
];
