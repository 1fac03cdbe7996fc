import { type I32, type I64, i32, i64 } from '@xenolith/wasm-builder';
import { type Size, signExtend, zeroExtend } from '../flags.js';
import { type Row, row } from '../row.js';
import type { Context } from '../semantics.js';
import { FLAG } from '../state.js';

/** Shifts and rotates by 1, CL or an immediate; `group` is ModRM.reg in C0, C1, D0–D3. */
function shiftRow(name: string, groups: readonly number[], semantics: (cx: Context) => void): Row {
  const encodings = groups.flatMap((g) => [
    `c0/${g} Eb,Ib`,
    `c1/${g} Ev,Ib`,
    `d0/${g} Eb,1b`,
    `d1/${g} Ev,1b`,
    `d2/${g} Eb,Cb`,
    `d3/${g} Ev,Cb`,
  ]);
  return row(name, encodings, semantics);
}

const bit = (v: I64, n: I64): I32 => i32.and(i32.wrap(i64.shr_u(v, n)), i32.const(1));
const signBit = (size: number): I64 => i64.const(size * 8 - 1);
const carryAndOverflow = (cf: I32, of: I32): I32 => i32.or(cf, i32.shl(of, i32.const(11)));

/** The count as the processor masks it: five bits, six for 64-bit operands. */
const maskedCount = (cx: Context, i: number): I64 =>
  cx.f.let(i64.and(cx.read(i), i64.const(cx.sizeOf(0) === 8 ? 63 : 31)));

/** A count of zero changes nothing, not even a flag; a 32-bit destination register is still zero-extended. */
function whenNonzero(cx: Context, count: I64, value: I64, set: (v: I64) => void, body: () => void): void {
  if (count.constant !== undefined && count.constant !== 0n) body();
  else cx.f.if(i64.eqz(count), () => set(value), body);
}

const shl = (cx: Context): void => {
  const { f } = cx;
  const size = cx.sizeOf(0);
  const count = maskedCount(cx, 1);
  const place = cx.modify(0);
  whenNonzero(cx, count, place.value, place.set, () => {
    const r = f.let(i64.shl(place.value, count));
    // Counts above the size shift the last bit out long before.
    const cf = f.let(
      size === 8 ? bit(place.value, i64.sub(i64.const(64), count)) : bit(r, i64.const(size * 8)),
    );
    place.set(r);
    cx.flags.result(size, r, carryAndOverflow(cf, i32.xor(cf, bit(r, signBit(size)))));
  });
};

const shr = (cx: Context): void => {
  const { f } = cx;
  const size = cx.sizeOf(0);
  const count = maskedCount(cx, 1);
  const place = cx.modify(0);
  whenNonzero(cx, count, place.value, place.set, () => {
    const r = f.let(i64.shr_u(place.value, count));
    const cf = f.let(bit(place.value, i64.sub(count, i64.const(1))));
    place.set(r);
    cx.flags.result(size, r, carryAndOverflow(cf, bit(place.value, signBit(size))));
  });
};

const sar = (cx: Context): void => {
  const { f } = cx;
  const size = cx.sizeOf(0);
  const count = maskedCount(cx, 1);
  const place = cx.modify(0);
  const value = f.let(signExtend(size, place.value));
  whenNonzero(cx, count, place.value, place.set, () => {
    const r = f.let(i64.shr_s(value, count));
    const cf = f.let(bit(i64.shr_s(value, i64.sub(count, i64.const(1))), i64.const(0)));
    place.set(r);
    cx.flags.result(size, r, cf);
  });
};

/** Rotates set CF and OF only. */
function rotateFlags(cx: Context, cf: I32, of: I32): void {
  cx.flags.change(FLAG.cf | FLAG.of, cx.f.let(carryAndOverflow(cf, of)));
}

function rotateValue(cx: Context, size: Size, value: I64, count: I64, left: boolean): I64 {
  if (size === 8) return left ? i64.rotl(value, count) : i64.rotr(value, count);
  if (size === 4) {
    const v = i32.wrap(value);
    const n = i32.wrap(count);
    return i64.extend_u(left ? i32.rotl(v, n) : i32.rotr(v, n));
  }
  const width = size * 8;
  const n = cx.f.let(i64.and(count, i64.const(width - 1)));
  const m = i64.and(i64.sub(i64.const(width), n), i64.const(width - 1));
  const [up, down] = left ? [n, m] : [m, n];
  return zeroExtend(size, i64.or(i64.shl(value, up), i64.shr_u(value, down)));
}

const rotate =
  (left: boolean) =>
  (cx: Context): void => {
    const { f } = cx;
    const size = cx.sizeOf(0);
    const count = maskedCount(cx, 1);
    const place = cx.modify(0);
    whenNonzero(cx, count, place.value, place.set, () => {
      const r = f.let(rotateValue(cx, size, place.value, count, left));
      place.set(r);
      const top = f.let(bit(r, signBit(size)));
      if (left) {
        const cf = f.let(bit(r, i64.const(0)));
        rotateFlags(cx, cf, i32.xor(cf, top));
      } else rotateFlags(cx, top, i32.xor(top, bit(r, i64.const(size * 8 - 2))));
    });
  };

/** RCL and RCR: a rotation of size + 1 bits through CF. */
const rotateThroughCarry =
  (left: boolean) =>
  (cx: Context): void => {
    const { f } = cx;
    const size = cx.sizeOf(0);
    const width = size * 8;
    const masked = maskedCount(cx, 1);
    const count = f.let(size < 4 ? i64.rem_u(masked, i64.const(width + 1)) : masked);
    const place = cx.modify(0);
    const value = place.value;
    whenNonzero(cx, count, value, place.set, () => {
      const carry = f.let(i64.extend_u(cx.flags.cf()));
      const r = f.local('i64');
      const cf = f.let(
        left ? bit(value, i64.sub(i64.const(width), count)) : bit(value, i64.sub(count, i64.const(1))),
      );
      const n1 = i64.sub(count, i64.const(1));
      const rest = i64.sub(i64.const(width), count);
      // The bits that come round: shifted by width + 1 − count, which is 64 for 64-bit operands and a count of 1.
      const around = left
        ? i64.shr_u(i64.shr_u(value, rest), i64.const(1))
        : i64.shl(i64.shl(value, rest), i64.const(1));
      f.set(
        r,
        left
          ? i64.or(i64.or(i64.shl(value, count), i64.shl(carry, n1)), around)
          : i64.or(i64.or(i64.shr_u(value, count), i64.shl(carry, rest)), around),
      );
      place.set(r);
      const top = f.let(bit(r, signBit(size)));
      rotateFlags(cx, cf, left ? i32.xor(cf, top) : i32.xor(top, bit(r, i64.const(width - 2))));
    });
  };

/** SHLD and SHRD. For 16-bit operands and counts above 16 (undefined) the source follows the destination again. */
const double =
  (left: boolean) =>
  (cx: Context): void => {
    const { f } = cx;
    const size = cx.sizeOf(0);
    const count = maskedCount(cx, 2);
    const source = cx.read(1);
    const place = cx.modify(0);
    const value = place.value;
    whenNonzero(cx, count, value, place.set, () => {
      const r = f.local('i64');
      const cf = f.local('i32');
      if (size === 8) {
        const rest = i64.sub(i64.const(64), count);
        f.set(
          r,
          left
            ? i64.or(i64.shl(value, count), i64.shr_u(source, rest))
            : i64.or(i64.shr_u(value, count), i64.shl(source, rest)),
        );
        f.set(cf, bit(value, left ? rest : i64.sub(count, i64.const(1))));
      } else if (size === 4) {
        const joined = f.let(
          left
            ? i64.or(i64.shl(value, i64.const(32)), source)
            : i64.or(i64.shl(source, i64.const(32)), value),
        );
        f.set(r, left ? i64.shr_u(joined, i64.sub(i64.const(32), count)) : i64.shr_u(joined, count));
        f.set(
          cf,
          left ? bit(value, i64.sub(i64.const(32), count)) : bit(value, i64.sub(count, i64.const(1))),
        );
      } else {
        const joined = f.let(
          left
            ? i64.or(i64.or(i64.shl(value, i64.const(32)), i64.shl(source, i64.const(16))), value)
            : i64.or(i64.or(i64.shl(value, i64.const(32)), i64.shl(source, i64.const(16))), value),
        );
        f.set(r, left ? i64.shr_u(joined, i64.sub(i64.const(32), count)) : i64.shr_u(joined, count));
        f.set(
          cf,
          left ? bit(joined, i64.sub(i64.const(48), count)) : bit(joined, i64.sub(count, i64.const(1))),
        );
      }
      place.set(r);
      const of = i32.xor(bit(r, signBit(size)), bit(value, signBit(size)));
      cx.flags.result(size, r, carryAndOverflow(cf, of));
    });
  };

export const shift: Row[] = [
  shiftRow('rol', [0], rotate(true)),
  shiftRow('ror', [1], rotate(false)),
  shiftRow('rcl', [2], rotateThroughCarry(true)),
  shiftRow('rcr', [3], rotateThroughCarry(false)),
  shiftRow('shl', [4, 6], shl),
  shiftRow('shr', [5], shr),
  shiftRow('sar', [7], sar),
  row('shld', ['0f a4 Ev,Gv,Ib', '0f a5 Ev,Gv,Cb'], double(true)),
  row('shrd', ['0f ac Ev,Gv,Ib', '0f ad Ev,Gv,Cb'], double(false)),
];
