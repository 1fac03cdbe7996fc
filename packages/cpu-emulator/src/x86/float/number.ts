/**
 * Exact arithmetic on binary floating-point numbers of any precision. A finite number other than zero is
 * significand × 2^exponent; results that need infinitely many bits carry a sticky last bit, so that rounding them to fewer bits
 * gives what the exact result would give.
 */
export type FloatNumber = Zero | Infinite | Finite;
export interface Zero {
  readonly kind: 'zero';
  readonly negative: boolean;
}
export interface Infinite {
  readonly kind: 'infinite';
  readonly negative: boolean;
}
export interface Finite {
  readonly kind: 'finite';
  readonly negative: boolean;
  readonly significand: bigint;
  readonly exponent: number;
}

/** More bits than any format has: what lies further below than this matters only as sticky. */
const GUARD = 140;

export const zero = (negative: boolean): FloatNumber => ({ kind: 'zero', negative });
export const infinite = (negative: boolean): FloatNumber => ({ kind: 'infinite', negative });
export const finite = (negative: boolean, significand: bigint, exponent: number): FloatNumber =>
  significand === 0n ? zero(negative) : { kind: 'finite', negative, significand, exponent };

const scratch = new DataView(new ArrayBuffer(8));

/** Number of bits of a positive integer. */
export function bitLength(v: bigint): number {
  const approximate = Number(v);
  if (approximate === Number.POSITIVE_INFINITY) {
    const hex = v.toString(16);
    return 4 * hex.length - Math.clz32(Number.parseInt(hex[0]!, 16)) + 28;
  }
  scratch.setFloat64(0, approximate);
  const length = (scratch.getUint16(0) >> 4) - 1022;
  // A power of two may have come about by rounding up.
  const isPower = approximate * 2 ** -(length - 1) === 1;
  return isPower && v >> BigInt(length - 1) === 0n ? length - 1 : length;
}

export const negated = (v: FloatNumber): FloatNumber => ({ ...v, negative: !v.negative });

/** Exponent of the leading bit of a finite number. */
export const leading = (v: Finite): number => v.exponent + bitLength(v.significand) - 1;

/** Floor of |v| / 2^exponent, with a last bit added that says whether something was cut off. */
function sticky(significand: bigint, drop: number): bigint {
  if (drop <= 0) return significand << BigInt(1 - drop);
  const kept = significand >> BigInt(drop);
  return (kept << 1n) | (kept << BigInt(drop) === significand ? 0n : 1n);
}

/**
 * a + b of numbers that are not both infinite with different signs.
 *
 * @param down rounding is downwards: only then a sum of opposite numbers is −0
 */
export function add(a: FloatNumber, b: FloatNumber, down: boolean): FloatNumber {
  if (a.kind === 'infinite') return a;
  if (b.kind === 'infinite') return b;
  if (a.kind === 'zero' && b.kind === 'zero') return zero(a.negative === b.negative ? a.negative : down);
  if (a.kind === 'zero') return b;
  if (b.kind === 'zero') return a;
  const [large, small] = leading(a) >= leading(b) ? [a, b] : [b, a];
  // Far below the larger operand's last bit, the smaller is a sticky bit and nothing more.
  const floor = Math.min(large.exponent, leading(large) - GUARD);
  const exponent = small.exponent < floor ? floor - 1 : Math.min(small.exponent, large.exponent);
  const aligned = (v: Finite): bigint =>
    v.exponent >= exponent
      ? v.significand << BigInt(v.exponent - exponent)
      : sticky(v.significand, exponent + 1 - v.exponent);
  const signed = (v: Finite): bigint => (v.negative ? -aligned(v) : aligned(v));
  const sum = signed(large) + signed(small);
  if (sum === 0n) return zero(down);
  return finite(sum < 0n, sum < 0n ? -sum : sum, exponent);
}

/** a × b; not of zero and infinity. */
export function multiply(a: FloatNumber, b: FloatNumber): FloatNumber {
  const negative = a.negative !== b.negative;
  if (a.kind === 'infinite' || b.kind === 'infinite') return infinite(negative);
  if (a.kind === 'zero' || b.kind === 'zero') return zero(negative);
  return finite(negative, a.significand * b.significand, a.exponent + b.exponent);
}

/** a / b; not of two zeros or two infinities. */
export function divide(a: FloatNumber, b: FloatNumber): FloatNumber {
  const negative = a.negative !== b.negative;
  if (a.kind === 'infinite' || b.kind === 'zero') return infinite(negative);
  if (a.kind === 'zero' || b.kind === 'infinite') return zero(negative);
  const shift = Math.max(0, 70 + bitLength(b.significand) - bitLength(a.significand));
  const dividend = a.significand << BigInt(shift);
  const quotient = dividend / b.significand;
  const exact = quotient * b.significand === dividend;
  return finite(negative, (quotient << 1n) | (exact ? 0n : 1n), a.exponent - b.exponent - shift - 1);
}

/** The integer square root, rounded down. */
export function integerRoot(v: bigint): bigint {
  let x = 1n << BigInt((bitLength(v) + 1) >> 1);
  for (;;) {
    const next = (x + v / x) >> 1n;
    if (next >= x) return x;
    x = next;
  }
}

/** Square root of a number that is not negative; of −0 it is −0. */
export function squareRoot(v: FloatNumber): FloatNumber {
  if (v.kind !== 'finite') return v;
  const shift = 140 + ((v.exponent + 140) & 1);
  const radicand = v.significand << BigInt(shift);
  const root = integerRoot(radicand);
  return finite(false, (root << 1n) | (root * root === radicand ? 0n : 1n), (v.exponent - shift) / 2 - 1);
}

/** −1, 0 or 1 as a is less than, equal to or greater than b; zeros are equal. */
export function compare(a: FloatNumber, b: FloatNumber): -1 | 0 | 1 {
  const sign = (v: FloatNumber): number => (v.kind === 'zero' ? 0 : v.negative ? -1 : 1);
  const [s, t] = [sign(a), sign(b)];
  if (s !== t) return s < t ? -1 : 1;
  if (s === 0) return 0;
  const larger = s as -1 | 1;
  const smaller = -s as -1 | 1;
  if (a.kind === 'infinite') return b.kind === 'infinite' ? 0 : larger;
  if (b.kind === 'infinite') return smaller;
  if (a.kind !== 'finite' || b.kind !== 'finite') return 0;
  if (leading(a) !== leading(b)) return leading(a) > leading(b) ? larger : smaller;
  const exponent = Math.min(a.exponent, b.exponent);
  const x = a.significand << BigInt(a.exponent - exponent);
  const y = b.significand << BigInt(b.exponent - exponent);
  return x === y ? 0 : x > y ? larger : smaller;
}
