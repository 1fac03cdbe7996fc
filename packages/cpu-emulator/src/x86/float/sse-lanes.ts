import { type BinaryFormat, pack, type Unpacked, unpack } from './formats.js';
import * as exact from './number.js';
import { type FloatNumber, negated, zero } from './number.js';
import { type Environment, EXCEPTION, ROUND, round, roundToIntegral, toBigInt } from './rounding.js';

/*
 * What SSE's operations make of one lane. Which exceptions an operand raises: Intel SDM volume 1, sections 11.5.2 and 4.9;
 * AMD APM volume 1, section 4.10.
 */

type Env = Environment;
/** What becomes of one lane's bits. */
export type Lane = (env: Env, format: BinaryFormat, a: bigint, b: bigint, argument: number) => bigint;

const read = (env: Env, format: BinaryFormat, bits: bigint): Unpacked => {
  const v = unpack(format, bits);
  return !v.nan && v.denormal && env.denormalsAreZero
    ? { nan: false, number: zero(v.number.negative), denormal: false }
    : v;
};

const invalid = (env: Env, format: BinaryFormat): bigint => {
  env.flags |= EXCEPTION.invalid;
  return format.defaultNan;
};

/** The first operand's NaN made quiet, else the second's (Intel SDM volume 1, table 4-7). */
function propagate(env: Env, format: BinaryFormat, bits: readonly bigint[]): bigint | undefined {
  const nans = bits.map((b) => ({ b, v: unpack(format, b) })).filter(({ v }) => v.nan);
  if (nans.length === 0) return undefined;
  if (nans.some(({ v }) => v.nan && !v.quiet)) env.flags |= EXCEPTION.invalid;
  return nans[0]!.b | format.quietBit;
}

const noteDenormal = (env: Env, ...operands: readonly Unpacked[]): void => {
  if (operands.some((v) => !v.nan && v.denormal)) env.flags |= EXCEPTION.denormal;
};

/** An operation on two numbers: `isInvalid` and `dividesByZero` say when there is no result to round. */
const arithmetic =
  (
    compute: (env: Env, a: FloatNumber, b: FloatNumber) => FloatNumber,
    isInvalid: (a: FloatNumber, b: FloatNumber) => boolean,
    dividesByZero: (a: FloatNumber, b: FloatNumber) => boolean = () => false,
  ): Lane =>
  (env, format, a, b) => {
    const nan = propagate(env, format, [a, b]);
    if (nan !== undefined) return nan;
    const [x, y] = [read(env, format, a), read(env, format, b)];
    if (x.nan || y.nan) return format.defaultNan;
    if (isInvalid(x.number, y.number)) return invalid(env, format);
    if (dividesByZero(x.number, y.number)) env.flags |= EXCEPTION.zeroDivide;
    else noteDenormal(env, x, y);
    return pack(format, round(env, compute(env, x.number, y.number), format));
  };

const bothInfinite = (a: FloatNumber, b: FloatNumber): boolean =>
  a.kind === 'infinite' && b.kind === 'infinite';
const bothZero = (a: FloatNumber, b: FloatNumber): boolean => a.kind === 'zero' && b.kind === 'zero';
const isDown = (env: Env): boolean => env.rounding === ROUND.down;

export const add = arithmetic(
  (env, a, b) => exact.add(a, b, isDown(env)),
  (a, b) => bothInfinite(a, b) && a.negative !== b.negative,
);
export const subtract = arithmetic(
  (env, a, b) => exact.add(a, negated(b), isDown(env)),
  (a, b) => bothInfinite(a, b) && a.negative === b.negative,
);
export const multiply = arithmetic(
  (_env, a, b) => exact.multiply(a, b),
  (a, b) => (a.kind === 'infinite' && b.kind === 'zero') || (a.kind === 'zero' && b.kind === 'infinite'),
);
export const divide = arithmetic(
  (_env, a, b) => exact.divide(a, b),
  (a, b) => bothZero(a, b) || bothInfinite(a, b),
  (a, b) => a.kind === 'finite' && b.kind === 'zero',
);

export const squareRoot: Lane = (env, format, _a, b) => {
  const nan = propagate(env, format, [b]);
  if (nan !== undefined) return nan;
  const v = read(env, format, b);
  if (v.nan) return format.defaultNan;
  if (v.number.negative && v.number.kind !== 'zero') return invalid(env, format);
  noteDenormal(env, v);
  return pack(format, round(env, exact.squareRoot(v.number), format));
};

/** MIN and MAX: the second operand, unless the first is strictly the wanted one. */
export const extreme =
  (wanted: -1 | 1): Lane =>
  (env, format, a, b) => {
    const [x, y] = [read(env, format, a), read(env, format, b)];
    const forward = (v: Unpacked, bits: bigint): bigint => (v.nan ? bits : pack(format, v.number));
    if (x.nan || y.nan) {
      env.flags |= EXCEPTION.invalid;
      return forward(y, b);
    }
    noteDenormal(env, x, y);
    return exact.compare(x.number, y.number) === wanted ? forward(x, a) : forward(y, b);
  };

/** How two operands compare; undefined: unordered. Quiet NaNs are invalid only if `signalling`. */
export function order(
  env: Env,
  format: BinaryFormat,
  a: bigint,
  b: bigint,
  signalling: boolean,
): -1 | 0 | 1 | undefined {
  const [x, y] = [read(env, format, a), read(env, format, b)];
  if (x.nan || y.nan) {
    if (signalling || [x, y].some((v) => v.nan && !v.quiet)) env.flags |= EXCEPTION.invalid;
    return undefined;
  }
  noteDenormal(env, x, y);
  return exact.compare(x.number, y.number);
}

/** Predicates eq lt le unord by bits 0 and 1, their negations by bit 2. */
export const compareLane: Lane = (env, format, a, b, predicate) => {
  const kind = predicate & 3;
  const r = order(env, format, a, b, kind === 1 || kind === 2);
  const holds =
    kind === 3 ? r === undefined : r !== undefined && (kind === 0 ? r === 0 : kind === 1 ? r < 0 : r <= 0);
  return holds !== ((predicate & 4) !== 0) ? (1n << BigInt(format.width)) - 1n : 0n;
};

/** ROUNDPS and the like: bit 2 of the immediate says MXCSR.RC, otherwise its low two bits are the mode; bit 3: never inexact. */
export const roundLane: Lane = (env, format, _a, b, immediate) => {
  const nan = propagate(env, format, [b]);
  if (nan !== undefined) return nan;
  const v = read(env, format, b);
  if (v.nan) return format.defaultNan;
  const before = env.flags;
  const r = roundToIntegral(env, v.number, immediate & 4 ? env.rounding : immediate & 3);
  if (immediate & 8) env.flags = before;
  return pack(format, r);
};

/** A float to an integer of `bits`; what does not fit is invalid and gives 1 followed by zeros. */
export function toInteger(
  env: Env,
  format: BinaryFormat,
  v: bigint,
  bits: number,
  truncate: boolean,
): bigint {
  const indefinite = 1n << BigInt(bits - 1);
  const value = read(env, format, v);
  const before = env.flags;
  if (!value.nan && value.number.kind !== 'infinite') {
    const r = toBigInt(roundToIntegral(env, value.number, truncate ? ROUND.zero : env.rounding));
    if (r >= -indefinite && r < indefinite) return BigInt.asUintN(bits, r);
  }
  env.flags = before | EXCEPTION.invalid;
  return indefinite;
}

/** One format to another: a NaN keeps its sign and the payload's upper bits and becomes quiet. */
export function convert(env: Env, from: BinaryFormat, to: BinaryFormat, bits: bigint): bigint {
  const v = read(env, from, bits);
  if (v.nan) {
    if (!v.quiet) env.flags |= EXCEPTION.invalid;
    const fraction = bits & ((1n << BigInt(from.bits - 1)) - 1n);
    const shift = from.bits - to.bits;
    const payload = shift > 0 ? fraction >> BigInt(shift) : fraction << BigInt(-shift);
    const sign = (bits >> BigInt(from.width - 1)) << BigInt(to.width - 1);
    return sign | (to.defaultNan & ~(1n << BigInt(to.width - 1))) | payload;
  }
  noteDenormal(env, v);
  return pack(to, round(env, v.number, to));
}

export const fromInteger = (env: Env, to: BinaryFormat, v: bigint): bigint =>
  pack(to, round(env, exact.finite(v < 0n, v < 0n ? -v : v, 0), to));
