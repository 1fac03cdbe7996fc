import { type Extended, packExtended, quieted, SCALE, unpackExtended } from './extended.js';
import { type BinaryFormat, pack, unpack } from './formats.js';
import { finite } from './number.js';
import { EXCEPTION, ROUND, round, roundToIntegral, toBigInt } from './rounding.js';
import type { X87Unit } from './x87-unit.js';

/** A float in memory as a register's value, as it is: exact, and a signalling NaN stays one. */
export function widened(format: BinaryFormat, bits: bigint): Extended {
  const v = unpack(format, bits);
  if (!v.nan) return packExtended(v.number);
  const sign = (bits >> BigInt(format.width - 1)) << 79n;
  const fraction = bits & ((1n << BigInt(format.bits - 1)) - 1n);
  return sign | (0x7fffn << 64n) | (1n << 63n) | (fraction << BigInt(64 - format.bits));
}
export function isDenormal(format: BinaryFormat, bits: bigint): boolean {
  const v = unpack(format, bits);
  return !v.nan && v.denormal;
}

/** The same for a load: a signalling NaN becomes quiet and is invalid, a denormal is noted. */
export function fromFloat(u: X87Unit, format: BinaryFormat, bits: bigint): Extended {
  const v = unpack(format, bits);
  if (v.nan && !v.quiet) u.raise(EXCEPTION.invalid);
  // Not masked, it is pending behind the load.
  if (isDenormal(format, bits)) u.flags |= EXCEPTION.denormal;
  const wide = widened(format, bits);
  return v.nan ? quieted(wide) : wide;
}

export const fromInteger = (v: bigint): Extended => packExtended(finite(v < 0n, v < 0n ? -v : v, 0));

/** A register's value as a float in memory; undefined: an exception that is not masked keeps it from being stored. */
export function toFloat(u: X87Unit, format: BinaryFormat, v: Extended): bigint | undefined {
  const x = unpackExtended(v);
  if (x.kind === 'unsupported') {
    u.invalid();
    return format.defaultNan;
  }
  if (x.kind === 'nan') {
    if (!x.quiet) u.raise(EXCEPTION.invalid);
    const fraction = (v & ((1n << 63n) - 1n)) >> BigInt(64 - format.bits);
    const infinity = pack(format, { kind: 'infinite', negative: v >> 79n === 1n });
    return infinity | fraction | format.quietBit;
  }
  const r = round(u, x.number, format, SCALE);
  if (u.flags & ~u.masks & (EXCEPTION.overflow | EXCEPTION.underflow)) {
    u.flags &= ~EXCEPTION.inexact;
    u.roundedUp = false;
    return undefined;
  }
  return pack(format, r);
}

/** A register's value as an integer of `bits`; what does not fit is invalid and gives 1 followed by zeros. */
export function toInteger(u: X87Unit, bits: number, v: Extended, truncate = false): bigint {
  const indefinite = 1n << BigInt(bits - 1);
  const r = integral(u, v, truncate);
  if (r !== undefined && r >= -indefinite && r < indefinite) return BigInt.asUintN(bits, r);
  return outOfRange(u, indefinite);
}

function integral(u: X87Unit, v: Extended, truncate: boolean): bigint | undefined {
  const x = unpackExtended(v);
  if (x.kind !== 'number' || x.number.kind === 'infinite') return undefined;
  if (x.number.kind === 'finite' && x.number.exponent > 64) return undefined;
  return toBigInt(roundToIntegral(u, x.number, truncate ? ROUND.zero : u.rounding));
}

function outOfRange(u: X87Unit, indefinite: bigint): bigint {
  u.flags &= ~EXCEPTION.inexact;
  u.roundedUp = false;
  u.raise(EXCEPTION.invalid);
  return indefinite;
}

/** Packed decimal: 18 digits, two a byte, and a sign in the tenth byte (Intel SDM volume 1, section 4.7). */
export function fromDecimal(bits: bigint): Extended {
  let v = 0n;
  for (let i = 17n; i >= 0n; i--) v = v * 10n + ((bits >> (4n * i)) & 15n);
  const sign = bits >> 79n === 1n;
  return sign ? (1n << 79n) | fromInteger(v) : fromInteger(v);
}

const DECIMAL_INDEFINITE = 0xffff_c000_0000_0000_0000n;

export function toDecimal(u: X87Unit, v: Extended): bigint {
  const r = integral(u, v, false);
  const magnitude = r !== undefined && r < 0n ? -r : r;
  if (magnitude === undefined || magnitude >= 10n ** 18n) return outOfRange(u, DECIMAL_INDEFINITE);
  const digits = BigInt(`0x${magnitude.toString()}`);
  return digits | ((v >> 79n) << 79n);
}
