import { type Extended, packExtended, unpackExtended } from './extended.js';
import * as exact from './number.js';
import { type FloatNumber, finite, leading, zero } from './number.js';
import { EXCEPTION } from './rounding.js';
import { special } from './x87-arithmetic.js';
import { STATUS, type X87Unit } from './x87-unit.js';

/*
 * Transcendental functions as sums of series on integers scaled by 2^bits, some 200 bits beyond what is wanted. They are rounded
 * correctly but for arguments whose result lies within 2^-100 of a tie; processors are allowed an error of one unit
 * in the last place, so results differ from theirs in the last bit now and then.
 */

/** x = v × 2^bits, rounded down. */
const fixed = (v: FloatNumber, bits: number): bigint => {
  if (v.kind !== 'finite') return 0n;
  const shift = v.exponent + bits;
  const magnitude = shift >= 0 ? v.significand << BigInt(shift) : v.significand >> BigInt(-shift);
  return v.negative ? -magnitude : magnitude;
};
/** The number, known to be inexact. */
const number = (v: bigint, bits: number): FloatNumber =>
  finite(v < 0n, ((v < 0n ? -v : v) << 1n) | 1n, -bits - 1);

/** Sum of a series whose terms shrink: `next` makes the term behind the given one, n counts from 1. */
function series(
  first: bigint,
  next: (term: bigint, n: bigint) => bigint,
  part: (term: bigint, n: bigint) => bigint,
): bigint {
  let sum = 0n;
  let term = first;
  for (let n = 1n; term !== 0n && term !== -1n; n++) {
    sum += part(term, n);
    term = next(term, n);
  }
  return sum;
}
/** atanh(x) and atan(x) for |x| well below 1: x ± x³/3 + x⁵/5 … */
const oddSeries = (x: bigint, bits: number, alternating: boolean): bigint => {
  const square = (x * x) >> BigInt(bits);
  const factor = alternating ? -square : square;
  return series(
    x,
    (term) => (term * factor) >> BigInt(bits),
    (term, n) => term / (2n * n - 1n),
  );
};

const constants = new Map<string, bigint>();
const constant = (name: string, bits: number, make: () => bigint): bigint => {
  const key = `${name}${bits}`;
  let v = constants.get(key);
  if (v === undefined) {
    v = make();
    if (constants.size < 64) constants.set(key, v);
  }
  return v;
};
/** ln 2 = 2 atanh(1/3); π = 16 atan(1/5) − 4 atan(1/239). */
const ln2 = (bits: number): bigint =>
  constant('ln2', bits, () => 2n * oddSeries((1n << BigInt(bits)) / 3n, bits, false));
const pi = (bits: number): bigint =>
  constant('pi', bits, () => {
    const one = 1n << BigInt(bits + 16);
    const v = 16n * oddSeries(one / 5n, bits + 16, true) - 4n * oddSeries(one / 239n, bits + 16, true);
    return v >> 16n;
  });

/** Below this exponent the next term of a series lies far behind the last bit. */
const TINY = -100;
/** A number with something added to or taken from its magnitude that only rounding sees. */
const nudged = (v: exact.Finite, by: 1n | -1n): FloatNumber =>
  finite(v.negative, (v.significand << 200n) + by, v.exponent - 200);

const inexact = (u: X87Unit, v: FloatNumber): Extended => {
  u.flags |= EXCEPTION.inexact;
  return u.rounded(v);
};
const numberOf = (v: Extended): FloatNumber => {
  const x = unpackExtended(v);
  return x.kind === 'number' ? x.number : zero(false);
};
const noteDenormals = (u: X87Unit, ...v: readonly Extended[]): void =>
  u.noteDenormal(...v.map(unpackExtended));

/** 2^x − 1 for −1 ≤ x ≤ 1; beyond that the result is undefined, here it is the operand. */
export function powerMinusOne(u: X87Unit, a: Extended): Extended {
  const nan = special(u, a, a);
  if (nan !== undefined) return nan;
  const x = numberOf(a);
  if (x.kind === 'infinite') return x.negative ? packExtended(finite(true, 1n, 0)) : a;
  noteDenormals(u, a);
  if (x.kind === 'zero') return a;
  if (leading(x) >= 0) {
    u.flags |= EXCEPTION.inexact;
    if (leading(x) === 0 && x.significand === 1n << BigInt(-x.exponent))
      return packExtended(x.negative ? finite(true, 1n, -1) : x);
    return a;
  }
  if (leading(x) < TINY) return inexact(u, exact.multiply(x, number(ln2(200), 200)));
  const bits = 200 - leading(x);
  const y = (fixed(x, bits) * ln2(bits)) >> BigInt(bits);
  const sum = series(
    y,
    (term, n) => (term * y) / ((n + 1n) << BigInt(bits)),
    (term) => term,
  );
  return inexact(u, number(sum, bits));
}

/** log2 of a positive finite number, times 2^bits. */
function log2(x: exact.Finite, bits: number): bigint {
  // m in [0.7, 1.4], so that the series is short and nothing cancels against the exponent.
  let e = leading(x);
  const one = 1n << BigInt(bits);
  let m = fixed(finite(false, x.significand, x.exponent - e), bits);
  if (m > (one * 7n) / 5n) {
    m >>= 1n;
    e += 1;
  }
  const ln = 2n * oddSeries(((m - one) << BigInt(bits)) / (m + one), bits, false);
  return BigInt(e) * one + (ln << BigInt(bits)) / ln2(bits);
}

/** y × log2(x): ST(1) and ST(0). */
export function yLog2(u: X87Unit, y: Extended, x: Extended): Extended {
  const nan = special(u, x, y);
  if (nan !== undefined) return nan;
  const [a, b] = [numberOf(x), numberOf(y)];
  if (a.negative && a.kind !== 'zero') return u.invalid();
  if (a.kind === 'zero') {
    if (b.kind === 'zero') return u.invalid();
    if (b.kind !== 'infinite') u.raise(EXCEPTION.zeroDivide);
    return packExtended(exact.infinite(!b.negative));
  }
  const one = exact.compare(a, finite(false, 1n, 0));
  if (a.kind === 'infinite') {
    if (b.kind === 'zero') return u.invalid();
    noteDenormals(u, x, y);
    return packExtended(exact.infinite(b.negative));
  }
  if (b.kind === 'infinite') {
    if (one === 0) return u.invalid();
    noteDenormals(u, x, y);
    return packExtended(exact.infinite(one < 0 !== b.negative));
  }
  noteDenormals(u, x, y);
  if (a.kind !== 'finite') return x;
  if (one === 0 || b.kind === 'zero') return packExtended(zero(one < 0 !== b.negative));
  const bits = 320;
  const isPower = (a.significand & (a.significand - 1n)) === 0n;
  if (isPower) {
    const e = leading(a);
    return inexact(u, exact.multiply(b, finite(e < 0, BigInt(Math.abs(e)), 0)));
  }
  return inexact(u, exact.multiply(b, number(log2(a, bits), bits)));
}

/** y × log2(1 + x) for |x| < 1 − √½; beyond that the result is undefined. */
export function yLog2Plus1(u: X87Unit, y: Extended, x: Extended): Extended {
  const nan = special(u, x, y);
  if (nan !== undefined) return nan;
  const [a, b] = [numberOf(x), numberOf(y)];
  if (a.kind === 'zero' && b.kind === 'infinite') return u.invalid();
  if (a.kind === 'infinite') {
    if (a.negative || b.kind === 'zero') return u.invalid();
    noteDenormals(u, y);
    return packExtended(exact.infinite(b.negative));
  }
  noteDenormals(u, x, y);
  const negative = a.negative !== b.negative;
  if (b.kind === 'infinite') return packExtended(exact.infinite(negative));
  if (a.kind !== 'finite' || b.kind !== 'finite') return packExtended(zero(negative));
  if (a.negative && leading(a) >= 0) {
    u.flags |= EXCEPTION.inexact;
    return x;
  }
  if (leading(a) < TINY) return inexact(u, exact.multiply(b, exact.divide(a, number(ln2(250), 250))));
  const bits = 250 + Math.max(0, -leading(a));
  const one = 1n << BigInt(bits);
  const v = fixed(a, bits);
  if (leading(a) >= -1) {
    const sum = exact.add(a, finite(false, 1n, 0), false);
    if (sum.kind !== 'finite') return x;
    return inexact(u, exact.multiply(b, number(log2(sum, bits), bits)));
  }
  const ln = 2n * oddSeries((v << BigInt(bits)) / (2n * one + v), bits, false);
  return inexact(u, exact.multiply(b, number((ln << BigInt(bits)) / ln2(bits), bits)));
}

/** atan of 0 < t ≤ 1, times 2^bits: the angle is halved four times, then the series. */
function arctangent(t: bigint, bits: number): bigint {
  let v = t;
  const one = 1n << BigInt(bits);
  for (let i = 0; i < 4; i++)
    v = (v << BigInt(bits)) / (one + exact.integerRoot((one << BigInt(bits)) + v * v));
  return 16n * oddSeries(v, bits, true);
}

/** The angle of the point (ST(0), ST(1)). */
export function partialArctangent(u: X87Unit, y: Extended, x: Extended): Extended {
  const nan = special(u, x, y);
  if (nan !== undefined) return nan;
  const [a, b] = [numberOf(x), numberOf(y)];
  noteDenormals(u, x, y);
  const bits = 256;
  const sign = (v: bigint): bigint => (b.negative ? -v : v);
  /** Multiples of π/4. */
  const eighths = (n: bigint): Extended => inexact(u, number(sign((n * pi(bits)) / 4n), bits));
  if (b.kind === 'zero' || (a.kind === 'infinite' && b.kind !== 'infinite'))
    return a.negative ? eighths(4n) : packExtended(zero(b.negative));
  if (b.kind === 'infinite') return eighths(a.kind !== 'infinite' ? 2n : a.negative ? 3n : 1n);
  if (a.kind !== 'finite') return eighths(2n);
  const steep = exact.compare({ ...b, negative: false }, { ...a, negative: false }) > 0;
  const ratio = steep ? exact.divide(a, b) : exact.divide(b, a);
  if (ratio.kind !== 'finite') return eighths(2n);
  const small = leading(ratio);
  // An angle this small is its tangent, as far as 64 bits go; a negative x turns it round.
  if (small < -200) {
    if (!steep && !a.negative) return inexact(u, nudged({ ...ratio, negative: b.negative }, -1n));
    return eighths(steep ? 2n : 4n);
  }
  const width = bits - small;
  const t = arctangent(fixed({ ...ratio, negative: false }, width), width);
  const half = pi(width) / 2n;
  const angle = steep ? (a.negative ? half + t : half - t) : a.negative ? 2n * half - t : t;
  return inexact(u, number(sign(angle), width));
}

/** π as processors reduce arguments by: its first 66 bits (Intel SDM volume 1, section 8.3.8). */
const PI_BITS = 66;
const processorPi = (bits: number): bigint =>
  (pi(bits) >> BigInt(bits - PI_BITS + 2)) << BigInt(bits - PI_BITS + 2);

/** sin and cos of a number below 2^63: reduced by π to more bits than can cancel. */
function sinCos(x: exact.Finite): { sin: FloatNumber; cos: FloatNumber } {
  if (leading(x) < TINY)
    return { sin: nudged(x, -1n), cos: nudged({ ...x, negative: false, significand: 1n, exponent: 0 }, -1n) };
  const bits = 260 + Math.max(0, -leading(x));
  const wide = bits + 70;
  const half = processorPi(wide) >> 1n;
  const v = fixed({ ...x, negative: false }, wide);
  const quadrant = Number(((v + half / 2n) / half) & 3n);
  const rest = (v - ((v + half / 2n) / half) * half) >> 70n;
  const square = (rest * rest) >> BigInt(bits);
  const terms = (first: bigint, start: bigint): bigint =>
    series(
      first,
      (term, n) => -((term * square) >> BigInt(bits)) / ((2n * n + start - 1n) * (2n * n + start)),
      (term) => term,
    );
  const s = terms(rest, 1n);
  const c = terms(1n << BigInt(bits), 0n);
  const [sin, cos] = (
    [
      [s, c],
      [c, -s],
      [-s, -c],
      [-c, s],
    ] as const
  )[quadrant]!;
  return { sin: number(x.negative ? -sin : sin, bits), cos: number(cos, bits) };
}

/** What FSIN, FCOS, FSINCOS and FPTAN have in common; undefined: the operand is out of range and stays (C2). */
export function circular(
  u: X87Unit,
  a: Extended,
): { sin: Extended; cos: Extended; tan: Extended } | undefined {
  const same = (v: Extended) => ({ sin: v, cos: v, tan: v });
  const nan = special(u, a, a);
  if (nan !== undefined) return same(nan);
  const x = numberOf(a);
  if (x.kind === 'infinite') return same(u.invalid());
  const one = packExtended(finite(false, 1n, 0));
  if (x.kind === 'zero') return { sin: a, cos: one, tan: a };
  if (leading(x) >= 63) {
    u.codes |= STATUS.c2;
    return undefined;
  }
  noteDenormals(u, a);
  return {
    get sin() {
      return inexact(u, sinCos(x).sin);
    },
    get cos() {
      return inexact(u, sinCos(x).cos);
    },
    get tan() {
      const { sin, cos } = sinCos(x);
      if (leading(x) < TINY) return inexact(u, nudged(x, 1n));
      return inexact(u, exact.divide(sin, cos));
    },
  };
}
