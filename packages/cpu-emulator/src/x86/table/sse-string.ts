import { type I32, type I64, i32, i64, type Local, select, v128, v128op } from '@xenolith/wasm-builder';
import { ENGINE } from '../../core/record.js';
import type { Row } from '../row.js';
import type { Context } from '../semantics.js';
import { FLAG, REG, xmmSlot } from '../state.js';
import { imm, vector } from './sse-common.js';

const at = (address: number): I32 => i32.const(address);
/** The two operands while their elements are walked through: first, then second. */
const FIRST = ENGINE.scratch;
const SECOND = ENGINE.scratch + 16;

interface Strings {
  /** 8 or 16 elements. */
  count: I32;
  lengthA: I32;
  lengthB: I32;
  a(i: I32): I32;
  b(i: I32): I32;
}

/** One element by the immediate's low bits: 1 words, 2 signed. */
function element(cx: Context, base: number, control: I32, index: I32): I32 {
  const { f } = cx;
  const r = f.local('i32');
  const signed = i32.and(control, i32.const(2));
  f.if(
    i32.and(control, i32.const(1)),
    () => {
      const address = f.let(i32.add(at(base), i32.shl(index, i32.const(1))));
      f.set(r, select(signed, i32.load16_s(address), i32.load16_u(address)));
    },
    () => {
      const address = f.let(i32.add(at(base), index));
      f.set(r, select(signed, i32.load8_s(address), i32.load8_u(address)));
    },
  );
  return r;
}

/** Runs `body` for 0 … count − 1. */
function each(cx: Context, count: I32, body: (i: Local<'i32'>) => void): void {
  const { f } = cx;
  const i = f.local('i32');
  f.set(i, i32.const(0));
  f.block((end) => {
    f.loop((next) => {
      f.brIf(end, i32.ge_u(i, count));
      body(i);
      f.set(i, i32.add(i, i32.const(1)));
      f.br(next);
    });
  });
}

/** Length of an implicit (zero-terminated) string, or an explicit one from EAX or EDX: its magnitude, at most `count`. */
function length(cx: Context, base: number, control: I32, count: I32, register: number | undefined): I32 {
  const { f } = cx;
  const r = f.local('i32');
  if (register !== undefined) {
    const wide = cx.size === 8;
    const v = f.let(wide ? cx.gpr(register) : i64.extend32_s(cx.gpr(register, 4)));
    const magnitude: I64 = f.let(select(i64.lt_s(v, i64.const(0)), i64.sub(i64.const(0), v), v));
    f.set(r, select(i64.gt_u(magnitude, i64.extend_u(count)), count, i32.wrap(magnitude)));
    return r;
  }
  f.set(r, count);
  each(cx, count, (i) => {
    f.if(i32.eqz(element(cx, base, control, i)), () => {
      f.set(r, i);
      f.set(i, count);
    });
  });
  return r;
}

/** The comparison's bits, one an element of the second operand, by the aggregation in bits 2 and 3. */
function compare(cx: Context, control: I32, s: Strings): Local<'i32'> {
  const { f } = cx;
  const result = f.local('i32');
  const hit = f.local('i32');
  const aggregation = f.let(i32.and(i32.shr_u(control, i32.const(2)), i32.const(3)));
  const is = (n: number): I32 => i32.eq(aggregation, i32.const(n));
  f.set(result, i32.const(0));
  each(cx, s.count, (j) => {
    f.set(hit, i32.const(0));
    const within = i32.lt_u(j, s.lengthB);
    f.if(i32.and(is(0), within), () =>
      each(cx, s.lengthA, (i) => f.set(hit, i32.or(hit, i32.eq(s.a(i), s.b(j))))),
    );
    f.if(i32.and(is(1), within), () =>
      each(cx, i32.shr_u(s.lengthA, i32.const(1)), (i) => {
        const low = s.a(f.let(i32.shl(i, i32.const(1))));
        const high = s.a(f.let(i32.or(i32.shl(i, i32.const(1)), i32.const(1))));
        const x = s.b(j);
        f.set(hit, i32.or(hit, i32.and(i32.le_s(low, x), i32.le_s(x, high))));
      }),
    );
    f.if(is(2), () => {
      const withinA = f.let(i32.lt_u(j, s.lengthA));
      f.set(hit, i32.eq(withinA, within));
      f.if(i32.and(withinA, within), () => f.set(hit, i32.eq(s.a(j), s.b(j))));
    });
    f.if(is(3), () => {
      f.set(hit, i32.const(1));
      const rest = f.let(i32.sub(s.count, j));
      each(cx, select(i32.lt_u(s.lengthA, rest), s.lengthA, rest), (i) => {
        const k = f.let(i32.add(i, j));
        f.if(
          i32.lt_u(k, s.lengthB),
          () => f.set(hit, i32.and(hit, i32.eq(s.a(i), s.b(k)))),
          () => f.set(hit, i32.const(0)),
        );
      });
    });
    f.set(result, i32.or(result, i32.shl(hit, j)));
  });
  return result;
}

/** Bits 4 and 5: negate all, or only where the second operand is valid. */
function polarity(cx: Context, control: I32, s: Strings, result: Local<'i32'>): void {
  const { f } = cx;
  const ones = (n: I32): I32 => i32.sub(i32.shl(i32.const(1), n), i32.const(1));
  f.if(i32.and(control, i32.const(0x10)), () =>
    f.set(result, i32.xor(result, ones(select(i32.and(control, i32.const(0x20)), s.lengthB, s.count)))),
  );
}

/** PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (Intel SDM volume 2, section 4.1). */
const stringCompare =
  (explicit: boolean, index: boolean) =>
  (cx: Context): void => {
    const { f } = cx;
    const b = cx.readVector(1);
    f.storeV128(at(FIRST), 0, cx.readVector(0));
    f.storeV128(at(SECOND), 0, b);
    const control = f.let(imm(cx));
    const count = f.let(select(i32.and(control, i32.const(1)), i32.const(8), i32.const(16)));
    const s: Strings = {
      count,
      lengthA: length(cx, FIRST, control, count, explicit ? REG.rax : undefined),
      lengthB: length(cx, SECOND, control, count, explicit ? REG.rdx : undefined),
      a: (i) => element(cx, FIRST, control, i),
      b: (i) => element(cx, SECOND, control, i),
    };
    // Ranges of unsigned elements compare as signed here: both are at most 16 bits in an i32.
    const result = compare(cx, control, s);
    polarity(cx, control, s, result);
    if (index) {
      const last = i32.sub(i32.const(31), i32.clz(result));
      const found = select(i32.and(control, i32.const(0x40)), last, i32.ctz(result));
      cx.setGpr(REG.rcx, i64.extend_u(select(result, found, count)), 4);
    } else {
      const bytes = v128.const([1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128]);
      const words = v128.const([1, 0, 2, 0, 4, 0, 8, 0, 16, 0, 32, 0, 64, 0, 128, 0]);
      const mask = f.local('v128');
      f.set(mask, v128.replace32(v128.zero(), 0, result));
      f.if(i32.and(control, i32.const(0x40)), () =>
        f.if(
          i32.and(control, i32.const(1)),
          () => f.set(mask, v128op(45, v128op(78, v128op(16, result), words), words)),
          () => {
            const spread = v128.shuffle(mask, mask, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
            f.set(mask, v128op(35, v128op(78, spread, bytes), bytes));
          },
        ),
      );
      f.storeV128(at(xmmSlot(0)), 0, mask);
    }
    const flag = (condition: I32, bit: number): I32 => i32.mul(condition, i32.const(bit));
    cx.flags.all(
      f.let(
        i32.or(
          i32.or(i32.ne(result, i32.const(0)), flag(i32.lt_u(s.lengthB, count), FLAG.zf)),
          i32.or(flag(i32.lt_u(s.lengthA, count), FLAG.sf), flag(i32.and(result, i32.const(1)), FLAG.of)),
        ),
      ),
    );
  };

export const sseString: Row[] = [
  vector('pcmpestrm', ['66 0f 3a 60 Vx,Wx,Ib'], stringCompare(true, false)),
  vector('pcmpestri', ['66 0f 3a 61 Vx,Wx,Ib'], stringCompare(true, true)),
  vector('pcmpistrm', ['66 0f 3a 62 Vx,Wx,Ib'], stringCompare(false, false)),
  vector('pcmpistri', ['66 0f 3a 63 Vx,Wx,Ib'], stringCompare(false, true)),
];
