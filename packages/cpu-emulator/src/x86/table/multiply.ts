import { type I32, type I64, i32, i64 } from '@xenolith/wasm-builder';
import { signExtend, zeroExtend } from '../flags.js';
import { type Row, row } from '../row.js';
import type { Context } from '../semantics.js';
import { REG } from '../state.js';

const low32 = (v: I64): I64 => i64.and(v, i64.const(0xffff_ffff));
const high32 = (v: I64): I64 => i64.shr_u(v, i64.const(32));

/** High 64 bits of an unsigned 64 × 64 product, by schoolbook halves. */
function highUnsigned(cx: Context, a: I64, b: I64): I64 {
  const { f } = cx;
  const ll = f.let(i64.mul(low32(a), low32(b)));
  const hl = f.let(i64.add(i64.mul(high32(a), low32(b)), high32(ll)));
  const lh = f.let(i64.add(i64.mul(low32(a), high32(b)), low32(hl)));
  return f.let(i64.add(i64.mul(high32(a), high32(b)), i64.add(high32(hl), high32(lh))));
}

function highSigned(cx: Context, a: I64, b: I64): I64 {
  const unsigned = highUnsigned(cx, a, b);
  const correction = (x: I64, y: I64): I64 => i64.and(i64.shr_s(x, i64.const(63)), y);
  return cx.f.let(i64.sub(i64.sub(unsigned, correction(a, b)), correction(b, a)));
}

/** CF = OF = `overflow`; SF, ZF and PF (undefined) follow the low result as on the recorded processor. */
function overflowFlags(cx: Context, low: I64, overflow: I32): void {
  cx.flags.result(cx.size, low, cx.f.let(i32.or(overflow, i32.shl(overflow, i32.const(11)))));
}

/** MUL and IMUL of the accumulator: the double-width product goes to rdx:rax (AX for bytes). */
const wide =
  (signed: boolean) =>
  (cx: Context): void => {
    const { f, size } = cx;
    const extend = signed ? signExtend : zeroExtend;
    const a = f.let(extend(size, cx.gpr(REG.rax, size)));
    const b = f.let(extend(size, cx.read(0)));
    const low = f.let(i64.mul(a, b));
    if (size === 8) {
      const high = (signed ? highSigned : highUnsigned)(cx, a, b);
      cx.setGpr(REG.rax, low);
      cx.setGpr(REG.rdx, high);
      const expected = signed ? i64.shr_s(low, i64.const(63)) : i64.const(0);
      overflowFlags(cx, low, f.let(i64.ne(high, expected)));
      return;
    }
    if (size === 1) cx.setGpr(REG.rax, low, 2);
    else {
      cx.setGpr(REG.rax, low, size);
      cx.setGpr(REG.rdx, i64.shr_u(low, i64.const(size * 8)), size);
    }
    overflowFlags(cx, low, f.let(i64.ne(extend(size, low), low)));
  };

/** IMUL with two or three operands: truncated product. */
const truncated = (cx: Context, a: I64, b: I64): void => {
  const { f, size } = cx;
  const x = f.let(signExtend(size, a));
  const y = f.let(signExtend(size, b));
  const low = f.let(i64.mul(x, y));
  cx.write(0, low);
  const overflow =
    size === 8
      ? i64.ne(highSigned(cx, x, y), i64.shr_s(low, i64.const(63)))
      : i64.ne(signExtend(size, low), low);
  overflowFlags(cx, low, f.let(overflow));
};

const divideError = (cx: Context): void => cx.raise(0);

/** DIV: #DE when the divisor is 0 or the quotient does not fit. */
function unsignedDivide(cx: Context): void {
  const { f, size } = cx;
  const divisor = cx.read(0);
  f.if(i64.eqz(divisor), () => divideError(cx));
  if (size === 8) {
    const high = f.let(cx.gpr(REG.rdx));
    const low = f.let(cx.gpr(REG.rax));
    f.if(i64.ge_u(high, divisor), () => divideError(cx));
    const { quotient, remainder } = longDivide(cx, high, low, divisor);
    cx.setGpr(REG.rax, quotient);
    cx.setGpr(REG.rdx, remainder);
    return;
  }
  const dividend = f.let(
    size === 1
      ? cx.gpr(REG.rax, 2)
      : i64.or(i64.shl(cx.gpr(REG.rdx, size), i64.const(size * 8)), cx.gpr(REG.rax, size)),
  );
  const quotient = f.let(i64.div_u(dividend, divisor));
  const remainder = f.let(i64.rem_u(dividend, divisor));
  f.if(i64.ne(i64.shr_u(quotient, i64.const(size * 8)), i64.const(0)), () => divideError(cx));
  storeQuotient(cx, quotient, remainder);
}

function storeQuotient(cx: Context, quotient: I64, remainder: I64): void {
  if (cx.size === 1) {
    cx.setGpr(REG.rax, i64.or(zeroExtend(1, quotient), i64.shl(remainder, i64.const(8))), 2);
    return;
  }
  cx.setGpr(REG.rax, quotient, cx.size);
  cx.setGpr(REG.rdx, remainder, cx.size);
}

/** 128 by 64 bits, high < divisor: one instruction when high is 0, bit by bit otherwise (rare). */
function longDivide(cx: Context, high: I64, low: I64, divisor: I64): { quotient: I64; remainder: I64 } {
  const { f } = cx;
  const quotient = f.local('i64');
  const remainder = f.local('i64');
  f.if(
    i64.eqz(high),
    () => {
      f.set(quotient, i64.div_u(low, divisor));
      f.set(remainder, i64.rem_u(low, divisor));
    },
    () => {
      const count = f.local('i32');
      const top = f.local('i32');
      f.set(remainder, high);
      f.set(quotient, low);
      f.set(count, i32.const(64));
      f.loop((next) => {
        f.set(top, i64.lt_s(remainder, i64.const(0)));
        f.set(remainder, i64.or(i64.shl(remainder, i64.const(1)), i64.shr_u(quotient, i64.const(63))));
        f.set(quotient, i64.shl(quotient, i64.const(1)));
        f.if(i32.or(top, i64.ge_u(remainder, divisor)), () => {
          f.set(remainder, i64.sub(remainder, divisor));
          f.set(quotient, i64.or(quotient, i64.const(1)));
        });
        f.set(count, i32.sub(count, i32.const(1)));
        f.brIf(next, count);
      });
    },
  );
  return { quotient, remainder };
}

/** IDIV: by magnitudes, then signs; #DE when the divisor is 0 or the quotient does not fit. */
function signedDivide(cx: Context): void {
  const { f, size } = cx;
  const divisor = f.let(signExtend(size, cx.read(0)));
  f.if(i64.eqz(divisor), () => divideError(cx));
  if (size === 8) {
    signedDivide64(cx, divisor);
    return;
  }
  const dividend = f.let(
    size === 1
      ? i64.extend16_s(cx.gpr(REG.rax, 2))
      : size === 2
        ? i64.extend32_s(i64.or(i64.shl(cx.gpr(REG.rdx, 2), i64.const(16)), cx.gpr(REG.rax, 2)))
        : i64.or(i64.shl(cx.gpr(REG.rdx, 4), i64.const(32)), cx.gpr(REG.rax, 4)),
  );
  // The one quotient that WebAssembly traps on, −2^63 / −1, never fits.
  f.if(i32.and(i64.eq(dividend, i64.const(-(1n << 63n))), i64.eq(divisor, i64.const(-1))), () =>
    divideError(cx),
  );
  const quotient = f.let(i64.div_s(dividend, divisor));
  const remainder = f.let(i64.rem_s(dividend, divisor));
  f.if(i64.ne(signExtend(size, quotient), quotient), () => divideError(cx));
  storeQuotient(cx, quotient, remainder);
}

function signedDivide64(cx: Context, divisor: I64): void {
  const { f } = cx;
  const high = f.let(cx.gpr(REG.rdx));
  const low = f.let(cx.gpr(REG.rax));
  const negative = f.let(i64.lt_s(high, i64.const(0)));
  const mask = f.let(i64.extend_s(i32.sub(i32.const(0), negative)));
  // −(high:low): complement both, add one to low, carry into high.
  const lowAbs = f.let(i64.sub(i64.xor(low, mask), mask));
  const carry = i64.extend_u(i32.and(negative, i64.eqz(low)));
  const highAbs = f.let(i64.add(i64.xor(high, mask), carry));
  const divisorMask = f.let(i64.shr_s(divisor, i64.const(63)));
  const divisorAbs = f.let(i64.sub(i64.xor(divisor, divisorMask), divisorMask));
  f.if(i64.ge_u(highAbs, divisorAbs), () => divideError(cx));
  const { quotient, remainder } = longDivide(cx, highAbs, lowAbs, divisorAbs);
  const sign = f.let(i64.xor(mask, divisorMask));
  // A positive quotient is below 2^63; a negative one may be −2^63.
  f.if(i64.gt_u(quotient, i64.sub(i64.const((1n << 63n) - 1n), sign)), () => divideError(cx));
  cx.setGpr(REG.rax, i64.sub(i64.xor(quotient, sign), sign));
  cx.setGpr(REG.rdx, i64.sub(i64.xor(remainder, mask), mask));
}

export const multiply: Row[] = [
  row('mul', ['f6/4 Eb', 'f7/4 Ev'], wide(false)),
  row('imul', ['f6/5 Eb', 'f7/5 Ev'], wide(true)),
  row('imul', ['0f af Gv,Ev'], (cx) => {
    const a = cx.read(0);
    truncated(cx, a, cx.read(1));
  }),
  row('imul', ['69 Gv,Ev,Iz', '6b Gv,Ev,sIb'], (cx) => {
    const a = cx.read(1);
    truncated(cx, a, cx.read(2));
  }),
  row('div', ['f6/6 Eb', 'f7/6 Ev'], unsignedDivide),
  row('idiv', ['f6/7 Eb', 'f7/7 Ev'], signedDivide),
];
