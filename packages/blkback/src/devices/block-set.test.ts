import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BlockSet } from './block-set.js';

it('property: holds what was added', () => {
  const range = fc.tuple(fc.nat({ max: 200_000 }), fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: 100_000 })));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 8 }), (ranges) => {
      const set = new BlockSet();
      const model = new Uint8Array(320_000);
      for (const [first, length] of ranges) {
        set.add(first, first + length);
        model.fill(1, first, first + length);
      }
      const seen = new Uint8Array(model.length);
      let last = -1;
      for (const { first, end } of set.runs()) {
        expect(first).toBeGreaterThanOrEqual(last);
        last = end;
        seen.fill(1, first, end);
      }
      expect(Buffer.compare(seen, model)).toBe(0);
      expect(set.size).toBe(model.reduce((sum, bit) => sum + bit, 0));
      for (const [first, length] of ranges) {
        for (const n of [first - 1, first, first + length])
          if (n >= 0) expect(set.has(n)).toBe(model[n] === 1);
      }
      set.clear();
      expect(set.size).toBe(0);
    }),
    { numRuns: 50 },
  );
});

it('full of 2^34 numbers takes no time', () => {
  const set = new BlockSet();
  set.add(5, 2 ** 34);
  expect([set.has(4), set.has(5), set.has(2 ** 34 - 1), set.has(2 ** 34)]).toEqual([
    false,
    true,
    true,
    false,
  ]);
});
