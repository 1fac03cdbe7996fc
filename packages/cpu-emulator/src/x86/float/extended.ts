import { bitLength, type FloatNumber, finite, infinite } from './number.js';
import type { Precision } from './rounding.js';

/** The 80-bit format of the x87 registers, as an integer: sign, 15 bits of exponent, 64 of significand with its leading bit. */
export type Extended = bigint;

const SIGNIFICAND = (1n << 64n) - 1n;
const LEADING = 1n << 63n;
const QUIET = 1n << 62n;
const BIAS = 16383;

/** The range is that of the format whatever the precision control says. */
export const extended = (bits: 24 | 53 | 64): Precision => ({ bits, least: 1 - BIAS, greatest: BIAS });
export const EXTENDED = extended(64);
/** The real indefinite. */
export const INDEFINITE: Extended = (0xffffn << 64n) | LEADING | QUIET;
/** What an unmasked overflow or underflow adds to the exponent. */
export const SCALE = 24576;

export type UnpackedExtended =
  | { readonly kind: 'number'; readonly number: FloatNumber; readonly denormal: boolean }
  | { readonly kind: 'nan'; readonly quiet: boolean }
  /** A significand without its leading bit: no processor since the 80287 makes or takes such. */
  | { readonly kind: 'unsupported' };

export function unpackExtended(v: Extended): UnpackedExtended {
  const negative = v >> 79n === 1n;
  const exponent = Number((v >> 64n) & 0x7fffn);
  const significand = v & SIGNIFICAND;
  if (exponent !== 0 && (significand & LEADING) === 0n) return { kind: 'unsupported' };
  if (exponent === 0x7fff) {
    if (significand !== LEADING) return { kind: 'nan', quiet: (significand & QUIET) !== 0n };
    return { kind: 'number', number: infinite(negative), denormal: false };
  }
  const number = finite(negative, significand, (exponent || 1) - BIAS - 63);
  return { kind: 'number', number, denormal: exponent === 0 && significand !== 0n };
}

/** Bits of a number that was rounded to at most 64 bits. */
export function packExtended(v: FloatNumber): Extended {
  const sign = v.negative ? 1n << 79n : 0n;
  if (v.kind === 'zero') return sign;
  if (v.kind === 'infinite') return sign | (0x7fffn << 64n) | LEADING;
  // Rounding up may have given one bit more, all of whose others are zeros.
  const shift = 64 - bitLength(v.significand);
  const place = v.exponent - shift;
  const tiny = 1 - BIAS - 63 - place;
  if (tiny > 0) {
    const to = v.exponent - (1 - BIAS - 63);
    return sign | (to >= 0 ? v.significand << BigInt(to) : v.significand >> BigInt(-to));
  }
  const significand = shift < 0 ? v.significand >> BigInt(-shift) : v.significand << BigInt(shift);
  return sign | (BigInt(place + 63 + BIAS) << 64n) | significand;
}

export const quieted = (v: Extended): Extended => v | QUIET;

/**
 * The NaN that comes out of an operation with at least one (Intel SDM volume 1, table 4-7): a quiet one before a signalling
 * one, of two alike the one with the larger significand, of those the positive one.
 */
export function chooseNan(a: Extended, b: Extended): Extended {
  const [x, y] = [unpackExtended(a), unpackExtended(b)];
  if (x.kind !== 'nan') return quieted(b);
  if (y.kind !== 'nan') return quieted(a);
  if (x.quiet !== y.quiet) return x.quiet ? a : b;
  const [s, t] = [a & SIGNIFICAND, b & SIGNIFICAND];
  if (s === t) return quieted(a < b ? a : b);
  return quieted(s > t ? a : b);
}
