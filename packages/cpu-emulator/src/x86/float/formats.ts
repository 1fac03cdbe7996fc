import { bitLength, type FloatNumber, finite, infinite } from './number.js';
import type { Precision } from './rounding.js';

/** What the bits of a format are: a number, or no number. */
export type Unpacked =
  | { readonly nan: false; readonly number: FloatNumber; readonly denormal: boolean }
  | { readonly nan: true; readonly quiet: boolean };

/** An interchange format of IEEE 754 whose leading bit is not written. */
export interface BinaryFormat extends Precision {
  readonly width: number;
  readonly defaultNan: bigint;
  /** The bit that makes a NaN quiet. */
  readonly quietBit: bigint;
}

const binary = (width: number, bits: number, exponentBits: number): BinaryFormat => {
  const bias = 2 ** (exponentBits - 1) - 1;
  const quietBit = 1n << BigInt(bits - 2);
  const defaultNan = ((1n << BigInt(exponentBits + 1)) - 1n) << BigInt(bits - 1);
  return { width, bits, least: 1 - bias, greatest: bias, quietBit, defaultNan: defaultNan | quietBit };
};
export const SINGLE = binary(32, 24, 8);
export const DOUBLE = binary(64, 53, 11);

export function unpack(format: BinaryFormat, bits: bigint): Unpacked {
  const fractionBits = format.bits - 1;
  const negative = bits >> BigInt(format.width - 1) === 1n;
  const fraction = bits & ((1n << BigInt(fractionBits)) - 1n);
  const biased = Number((bits >> BigInt(fractionBits)) & ((1n << BigInt(format.width - format.bits)) - 1n));
  const bias = format.greatest;
  if (biased === 2 * bias + 1) {
    if (fraction !== 0n) return { nan: true, quiet: (bits & format.quietBit) !== 0n };
    return { nan: false, number: infinite(negative), denormal: false };
  }
  if (biased === 0) {
    const number = finite(negative, fraction, format.least - fractionBits);
    return { nan: false, number, denormal: fraction !== 0n };
  }
  const significand = fraction | (1n << BigInt(fractionBits));
  return { nan: false, number: finite(negative, significand, biased - bias - fractionBits), denormal: false };
}

/** Bits of a number that was rounded to the format. */
export function pack(format: BinaryFormat, v: FloatNumber): bigint {
  const fractionBits = BigInt(format.bits - 1);
  const sign = v.negative ? 1n << BigInt(format.width - 1) : 0n;
  const bias = format.greatest;
  if (v.kind === 'zero') return sign;
  if (v.kind === 'infinite') return sign | (BigInt(2 * bias + 1) << fractionBits);
  const length = bitLength(v.significand);
  const top = v.exponent + length - 1;
  if (top < format.least) {
    const shift = v.exponent - (format.least - format.bits + 1);
    return sign | (shift >= 0 ? v.significand << BigInt(shift) : v.significand >> BigInt(-shift));
  }
  const shift = format.bits - length;
  const significand = shift >= 0 ? v.significand << BigInt(shift) : v.significand >> BigInt(-shift);
  return sign | (BigInt(top + bias) << fractionBits) | (significand & ((1n << fractionBits) - 1n));
}
