import { expect, it } from 'vitest';
import { median, ratio, table } from './statistics.mjs';

it('takes the middle, or the mean of the two middles', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([10, 9])).toBe(9.5);
});

it('aligns text left and numbers right', () => {
  expect(
    table([
      ['engine', 'crc'],
      ['x', '1.25'],
      ['native', '-'],
    ]),
  ).toBe('engine   crc\nx       1.25\nnative     -');
});

it('shows two digits of a ratio', () => {
  expect([0.0341, 0.34, 3.44, 34.4].map(ratio)).toEqual(['0.034', '0.34', '3.4', '34']);
});
