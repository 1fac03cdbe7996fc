import { expect, it } from 'vitest';
import { Maptrack } from './maptrack.js';

it('hands out in order, reuses from the end, and keeps one', () => {
  const track = new Maptrack(1, 1);
  const used = Array.from({ length: 256 }, () => track.allocate(0));
  expect(used).toEqual([...Array.from({ length: 255 }, (_, i) => i), -1]);
  track.set(7, { granter: 1, ref: 2, flags: 2 });
  expect(track.get(7)).toEqual({ granter: 1, ref: 2, flags: 2 });
  track.free(7);
  track.free(3);
  expect([track.get(7), track.allocate(0), track.allocate(0), track.allocate(0)]).toEqual([
    undefined,
    255,
    7,
    -1,
  ]);
});

it('takes from other vCPUs when frames are out', () => {
  const track = new Maptrack(1, 2);
  expect(track.allocate(0)).toBe(0);
  // vCPU 1's first take needs a sentinel of its own.
  expect([track.allocate(1), track.allocate(1)]).toEqual([2, 3]);
  track.free(2);
  expect([track.allocate(1), track.allocate(0)]).toEqual([1, 4]);
});

it('a second vCPU gets a frame of its own while there are some', () => {
  const track = new Maptrack(2, 2);
  expect([track.allocate(0), track.allocate(1), track.allocate(0), track.allocate(1)]).toEqual([
    0, 256, 1, 257,
  ]);
});
