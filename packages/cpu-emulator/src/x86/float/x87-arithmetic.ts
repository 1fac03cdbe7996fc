import { chooseNan, type Extended, INDEFINITE, packExtended, unpackExtended } from './extended.js';
import * as exact from './number.js';
import { bitLength, type FloatNumber, finite, leading, negated, zero } from './number.js';
import { EXCEPTION, ROUND, roundToIntegral, toBigInt } from './rounding.js';
import { STATUS, type X87Unit } from './x87-unit.js';

/** The NaN or indefinite for operands that are no numbers; undefined: all of them are. */
export function special(u: X87Unit, a: Extended, b: Extended): Extended | undefined {
  const [x, y] = [unpackExtended(a), unpackExtended(b)];
  if (x.kind === 'unsupported' || y.kind === 'unsupported') return u.invalid();
  if (x.kind === 'number' && y.kind === 'number') return undefined;
  if ([x, y].some((v) => v.kind === 'nan' && !v.quiet)) u.raise(EXCEPTION.invalid);
  return chooseNan(a, b);
}

/** Two numbers, whose denormals are noted by `denormal` once it is known that the operation is valid. */
function numbers(u: X87Unit, a: Extended, b: Extended): { x: FloatNumber; y: FloatNumber; denormal(): void } {
  const [x, y] = [unpackExtended(a), unpackExtended(b)];
  if (x.kind !== 'number' || y.kind !== 'number') throw new Error('no numbers');
  return { x: x.number, y: y.number, denormal: () => u.noteDenormal(x, y) };
}

export type Binary = (u: X87Unit, a: Extended, b: Extended) => Extended;

const down = (u: X87Unit): boolean => u.rounding === ROUND.down;

export const add: Binary = (u, a, b) => {
  const nan = special(u, a, b);
  if (nan !== undefined) return nan;
  const { x, y, denormal } = numbers(u, a, b);
  if (x.kind === 'infinite' && y.kind === 'infinite' && x.negative !== y.negative) return u.invalid();
  denormal();
  return u.rounded(exact.add(x, y, down(u)), u.precision);
};

export const subtract: Binary = (u, a, b) => {
  const nan = special(u, a, b);
  if (nan !== undefined) return nan;
  const { x, y, denormal } = numbers(u, a, b);
  if (x.kind === 'infinite' && y.kind === 'infinite' && x.negative === y.negative) return u.invalid();
  denormal();
  return u.rounded(exact.add(x, negated(y), down(u)), u.precision);
};

export const multiply: Binary = (u, a, b) => {
  const nan = special(u, a, b);
  if (nan !== undefined) return nan;
  const { x, y, denormal } = numbers(u, a, b);
  const kinds = [x.kind, y.kind];
  if (kinds.includes('infinite') && kinds.includes('zero')) return u.invalid();
  denormal();
  return u.rounded(exact.multiply(x, y), u.precision);
};

export const divide: Binary = (u, a, b) => {
  const nan = special(u, a, b);
  if (nan !== undefined) return nan;
  const { x, y, denormal } = numbers(u, a, b);
  if (x.kind === y.kind && x.kind !== 'finite') return u.invalid();
  if (x.kind === 'finite' && y.kind === 'zero') u.raise(EXCEPTION.zeroDivide);
  else denormal();
  return u.rounded(exact.divide(x, y), u.precision);
};

export function squareRoot(u: X87Unit, a: Extended): Extended {
  const nan = special(u, a, a);
  if (nan !== undefined) return nan;
  const { x, denormal } = numbers(u, a, a);
  if (x.negative && x.kind !== 'zero') return u.invalid();
  denormal();
  return u.rounded(exact.squareRoot(x), u.precision);
}

export function roundInteger(u: X87Unit, a: Extended): Extended {
  const nan = special(u, a, a);
  if (nan !== undefined) return nan;
  const { x, denormal } = numbers(u, a, a);
  denormal();
  return packExtended(roundToIntegral(u, x, u.rounding));
}

/** ST(0) × 2^n, n the integer part of ST(1). */
export const scale: Binary = (u, a, b) => {
  const nan = special(u, a, b);
  if (nan !== undefined) return nan;
  const { x, y, denormal } = numbers(u, a, b);
  if (y.kind === 'infinite') {
    if (y.negative ? x.kind === 'infinite' : x.kind === 'zero') return u.invalid();
    denormal();
    return packExtended(y.negative ? zero(x.negative) : exact.infinite(x.negative));
  }
  denormal();
  if (x.kind !== 'finite' || y.kind !== 'finite') return a;
  // Beyond this every scale overflows or underflows.
  const limit = 0x10000n;
  const n = leading(y) > 16 ? (y.negative ? -limit : limit) : toBigInt(truncated(y));
  return u.rounded(finite(x.negative, x.significand, x.exponent + Number(n)));
};
const truncated = (v: FloatNumber): FloatNumber =>
  v.kind !== 'finite' || v.exponent >= 0 ? v : finite(v.negative, v.significand >> BigInt(-v.exponent), 0);

/** Exponent and significand: the first takes the operand's place, the second is pushed. */
export function extract(u: X87Unit, a: Extended): [Extended, Extended] {
  const nan = special(u, a, a);
  if (nan !== undefined) return [nan, nan];
  const { x, denormal } = numbers(u, a, a);
  if (x.kind === 'zero') {
    u.raise(EXCEPTION.zeroDivide);
    return [packExtended(exact.infinite(true)), a];
  }
  if (x.kind === 'infinite') return [packExtended(exact.infinite(false)), a];
  denormal();
  const e = leading(x);
  const exponent = finite(e < 0, BigInt(Math.abs(e)), 0);
  return [
    packExtended(exponent),
    packExtended(finite(x.negative, x.significand, 1 - bitLength(x.significand))),
  ];
}

/**
 * FPREM (truncating) and FPREM1 (to nearest): the remainder of ST(0) by ST(1), or a step towards it when the exponents are too
 * far apart (C2). C0, C3 and C1 get the quotient's bits 2, 1 and 0.
 */
export const remainder =
  (nearest: boolean): Binary =>
  (u, a, b) => {
    const nan = special(u, a, b);
    if (nan !== undefined) return nan;
    const { x, y, denormal } = numbers(u, a, b);
    if (x.kind === 'infinite' || y.kind === 'zero') return u.invalid();
    denormal();
    u.kept = 0;
    if (x.kind === 'zero' || y.kind === 'infinite') return u.rounded(x);
    if (y.kind !== 'finite') return INDEFINITE;
    const distance = leading(x) - leading(y);
    if (distance < -1 || (distance < 0 && !nearest)) return u.rounded(x);
    const exponent = Math.min(x.exponent, y.exponent);
    const dividend = x.significand << BigInt(x.exponent - exponent);
    const divisor = y.significand << BigInt(y.exponent - exponent);
    if (distance >= 64) {
      const step = BigInt(distance - ((distance & 31) | 32));
      const rest = dividend % (divisor << step);
      u.codes |= STATUS.c2;
      return u.rounded(finite(x.negative, rest, exponent), undefined);
    }
    let quotient = dividend / divisor;
    let rest = dividend % divisor;
    let { negative } = x;
    if (nearest && (2n * rest > divisor || (2n * rest === divisor && quotient & 1n))) {
      quotient += 1n;
      rest = divisor - rest;
      negative = !negative;
    }
    if (quotient & 1n) u.codes |= STATUS.c1;
    if (quotient & 2n) u.codes |= STATUS.c3;
    if (quotient & 4n) u.codes |= STATUS.c0;
    return rest === 0n ? packExtended(zero(x.negative)) : u.rounded(finite(negative, rest, exponent));
  };

/**
 * How two operands compare, as C3 C2 C0. Quiet NaNs are invalid only if `signalling`.
 */
export function compare(u: X87Unit, a: Extended, b: Extended, signalling: boolean): number {
  const unordered = STATUS.c0 | STATUS.c2 | STATUS.c3;
  const [x, y] = [unpackExtended(a), unpackExtended(b)];
  if (x.kind !== 'number' || y.kind !== 'number') {
    const bad = (v: typeof x): boolean =>
      v.kind === 'unsupported' || (v.kind === 'nan' && (signalling || !v.quiet));
    if (bad(x) || bad(y)) u.raise(EXCEPTION.invalid);
    return unordered;
  }
  u.noteDenormal(x, y);
  const r = exact.compare(x.number, y.number);
  return r === 0 ? STATUS.c3 : r < 0 ? STATUS.c0 : 0;
}

/** FXAM: C3 C2 C0 say what a register holds, C1 is its sign. */
export function examine(u: X87Unit, i = 0): number {
  const v = u.raw(i);
  const sign = v >> 79n === 1n ? STATUS.c1 : 0;
  if (u.isEmpty(i)) return STATUS.c3 | STATUS.c0 | sign;
  const x = unpackExtended(v);
  if (x.kind === 'unsupported') return sign;
  if (x.kind === 'nan') return STATUS.c0 | sign;
  if (x.denormal) return STATUS.c3 | STATUS.c2 | sign;
  return { zero: STATUS.c3, infinite: STATUS.c2 | STATUS.c0, finite: STATUS.c2 }[x.number.kind] | sign;
}
