import { Fabric } from '@xenolith/xenbus/testing';
import { describe, expect, it } from 'vitest';
import { RateLimit } from './rate-limit.js';

const MS = 1e6;

describe('a rate', () => {
  it('is credit that is topped up at intervals, and grows to a burst', async () => {
    const fabric = new Fabric();
    const rate = RateLimit.parse('10000,50000', fabric.addGuest(1).clock)!;
    expect([rate.take(6000), rate.take(4000), rate.take(1)]).toEqual([0, 0, 50 * MS]);
    await fabric.advance(20 * MS);
    expect(rate.take(1)).toBe(30 * MS);
    await fabric.advance(30 * MS);
    expect([rate.take(10_000), rate.take(1)]).toEqual([0, 50 * MS]);
    // Not more than a burst, however long nothing is sent; the largest packet always fits.
    await fabric.advance(1e12);
    expect([rate.take(65_535), rate.take(65_535), rate.take(65_535) > 0]).toEqual([0, 0, true]);
  });

  it('of more than a packet in each interval allows all of that', async () => {
    const fabric = new Fabric();
    const rate = RateLimit.parse('1000000,1000', fabric.addGuest(1).clock)!;
    await fabric.advance(1e9);
    expect([rate.take(1_000_000), rate.take(1)]).toEqual([0, MS]);
  });

  it.each([
    undefined,
    '',
    '0,50000',
    '1000,0',
    '1000',
    '-5,5',
    '1e9,5',
    '99999999999999999,5',
    'x,y',
    '1,2,3',
  ])('is none in %j', (text) =>
    expect(RateLimit.parse(text, new Fabric().addGuest(1).clock)).toBeUndefined(),
  );
});
