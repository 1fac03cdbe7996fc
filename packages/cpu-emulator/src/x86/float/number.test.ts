import { expect, it } from 'vitest';
import { DOUBLE, pack, unpack } from './formats.js';
import { add, bitLength, compare, divide, type FloatNumber, multiply, squareRoot } from './number.js';
import { type Environment, round } from './rounding.js';

const view = new DataView(new ArrayBuffer(8));
const bitsOf = (v: number): bigint => {
  view.setFloat64(0, v);
  return view.getBigUint64(0);
};
const of = (v: number): FloatNumber => {
  const unpacked = unpack(DOUBLE, bitsOf(v));
  if (unpacked.nan) throw new Error('not a number');
  return unpacked.number;
};
const env = (): Environment => ({
  rounding: 0,
  masks: 63,
  flushToZero: false,
  denormalsAreZero: false,
  flags: 0,
  roundedUp: false,
});
const rounded = (v: FloatNumber): bigint => pack(DOUBLE, round(env(), v, DOUBLE));

const VALUES = [
  0,
  -0,
  1,
  -1,
  1 / 3,
  2 ** -1074,
  2 ** -1022,
  1.5e308,
  -1.7e308,
  2 ** 53 + 2,
  0.1,
  -7e-310,
  1e-200,
  3e200,
];

// JavaScript's own arithmetic is IEEE 754's in double precision, rounded to nearest.
it.each(VALUES)('%s with each other value: sum, product, quotient, order', (a) => {
  for (const b of VALUES) {
    expect(rounded(add(of(a), of(b), false)), `${a} + ${b}`).toBe(bitsOf(a + b));
    expect(rounded(multiply(of(a), of(b))), `${a} × ${b}`).toBe(bitsOf(a * b));
    if (b !== 0) expect(rounded(divide(of(a), of(b))), `${a} / ${b}`).toBe(bitsOf(a / b));
    expect(compare(of(a), of(b))).toBe(a < b ? -1 : a > b ? 1 : 0);
  }
  if (a >= 0) expect(rounded(squareRoot(of(a)))).toBe(bitsOf(Math.sqrt(a)));
});

it('bits of integers, at and beside powers of two', () => {
  for (const n of [0, 1, 52, 53, 54, 63, 64, 127, 1022, 1023, 1024, 2000]) {
    const power = 1n << BigInt(n);
    expect(bitLength(power)).toBe(n + 1);
    expect(bitLength(power + 1n)).toBe(n === 0 ? 2 : n + 1);
    if (n > 0) expect(bitLength(power - 1n)).toBe(n);
  }
});
