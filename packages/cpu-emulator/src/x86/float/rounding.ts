import { bitLength, type FloatNumber, finite, infinite, zero } from './number.js';

/** Exception flags as they stand in MXCSR and in the x87 status word; their masks are in the same order. */
export const EXCEPTION = {
  invalid: 1,
  denormal: 2,
  zeroDivide: 4,
  overflow: 8,
  underflow: 16,
  inexact: 32,
} as const;
/** Found from the operands alone, before anything is computed. */
export const BEFORE = EXCEPTION.invalid | EXCEPTION.denormal | EXCEPTION.zeroDivide;

/** Rounding control as in MXCSR.RC and the x87 control word. */
export const ROUND = { nearest: 0, down: 1, up: 2, zero: 3 } as const;

export interface Environment {
  /** `ROUND` */
  readonly rounding: number;
  /** Exceptions that are masked. */
  readonly masks: number;
  /** A masked underflow gives zero; denormal operands are zeros. */
  readonly flushToZero: boolean;
  readonly denormalsAreZero: boolean;
  /** Exceptions found so far. */
  flags: number;
  /** The last rounding made the magnitude greater. */
  roundedUp: boolean;
}

export interface Precision {
  /** Bits of the significand. */
  readonly bits: number;
  /** Exponents of the leading bit of the least and the greatest normal number. */
  readonly least: number;
  readonly greatest: number;
}

/** significand / 2^drop as an integer. */
function roundInteger(
  significand: bigint,
  drop: number,
  negative: boolean,
  rounding: number,
): { integer: bigint; inexact: boolean; up: boolean } {
  if (drop <= 0) return { integer: significand << BigInt(-drop), inexact: false, up: false };
  const kept = significand >> BigInt(drop);
  const rest = significand - (kept << BigInt(drop));
  if (rest === 0n) return { integer: kept, inexact: false, up: false };
  const half = 1n << BigInt(drop - 1);
  const up =
    rounding === ROUND.nearest
      ? rest > half || (rest === half && (kept & 1n) === 1n)
      : rounding === (negative ? ROUND.down : ROUND.up);
  return { integer: up ? kept + 1n : kept, inexact: true, up };
}

/**
 * Rounds a number to a precision and range as the x86's units do: tininess is found after rounding; a masked underflow is one
 * only when the result is inexact.
 *
 * @param scale what is added to the exponent of an unmasked overflow's (subtracted) or underflow's (added) result
 */
export function round(env: Environment, v: FloatNumber, to: Precision, scale = 0): FloatNumber {
  env.roundedUp = false;
  if (v.kind !== 'finite') return v;
  const { negative, significand, exponent } = v;
  const length = bitLength(significand);
  const wide = roundInteger(significand, length - to.bits, negative, env.rounding);
  const place = exponent + length - to.bits;
  const top = exponent + length - 1 + (bitLength(wide.integer) > to.bits ? 1 : 0);
  const masked = (exception: number): boolean => (env.masks & exception) !== 0;
  const note = (exception: number, up: boolean): void => {
    env.flags |= exception;
    env.roundedUp = up;
  };
  if (top > to.greatest) {
    if (!masked(EXCEPTION.overflow)) {
      if (scale && top - scale > to.greatest) {
        note(EXCEPTION.overflow | EXCEPTION.inexact, true);
        return infinite(negative);
      }
      note(EXCEPTION.overflow | (wide.inexact ? EXCEPTION.inexact : 0), wide.up);
      return finite(negative, wide.integer, place - scale);
    }
    const away = env.rounding === ROUND.nearest || env.rounding === (negative ? ROUND.down : ROUND.up);
    note(EXCEPTION.overflow | EXCEPTION.inexact, away);
    if (away) return infinite(negative);
    return finite(negative, (1n << BigInt(to.bits)) - 1n, to.greatest - to.bits + 1);
  }
  if (top < to.least) {
    if (!masked(EXCEPTION.underflow)) {
      note(EXCEPTION.underflow | (wide.inexact ? EXCEPTION.inexact : 0), wide.up);
      if (scale && top + scale < to.least) env.flags |= EXCEPTION.inexact;
      return finite(negative, wide.integer, place + scale);
    }
    if (env.flushToZero) {
      note(EXCEPTION.underflow | EXCEPTION.inexact, false);
      return zero(negative);
    }
    const last = to.least - to.bits + 1;
    const tiny = roundInteger(significand, last - exponent, negative, env.rounding);
    if (tiny.inexact) note(EXCEPTION.underflow | EXCEPTION.inexact, tiny.up);
    return finite(negative, tiny.integer, last);
  }
  if (wide.inexact) note(EXCEPTION.inexact, wide.up);
  return finite(negative, wide.integer, place);
}

/** The nearest integer under a rounding mode; its sign stays, also as zero. */
export function roundToIntegral(env: Environment, v: FloatNumber, rounding: number): FloatNumber {
  env.roundedUp = false;
  if (v.kind !== 'finite' || v.exponent >= 0) return v;
  const r = roundInteger(v.significand, -v.exponent, v.negative, rounding);
  if (r.inexact) env.flags |= EXCEPTION.inexact;
  env.roundedUp = r.up;
  return finite(v.negative, r.integer, 0);
}

/** A number that is an integer, as that. */
export function toBigInt(v: FloatNumber): bigint {
  if (v.kind !== 'finite') return 0n;
  const magnitude = v.significand << BigInt(v.exponent);
  return v.negative ? -magnitude : magnitude;
}
