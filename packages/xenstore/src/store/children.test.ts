import { expect, it } from 'vitest';
import { Children } from './children.js';

it('lists that grow from one another keep apart', () => {
  const one = Children.none.with('a');
  const left = one.with('b');
  const right = one.with('c');
  const longer = left.with('d');
  const shorter = longer.without('b');
  expect([one, left, right, longer, shorter].map((list) => [...list].join())).toEqual([
    'a',
    'a,b',
    'a,c',
    'a,b,d',
    'a,d',
  ]);
  expect([...Children.none]).toEqual([]);
  expect(String(left)).toBe('a\0b\0');
  expect([longer.length, longer.bytes, shorter.bytes]).toEqual([3, 6, 4]);
  // A name that another list has, behind the end of this one.
  expect(one.without('b')).toBe(one);
  expect(Children.none.without('a')).toBe(Children.none);
});
