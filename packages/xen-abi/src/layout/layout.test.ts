import { describe, expect, it } from 'vitest';
import {
  array,
  bytes,
  only,
  s32,
  struct,
  text,
  u8,
  u16,
  u32,
  u64,
  ulong,
  union,
  walkFields,
  x86_32,
  x86_64,
} from './index.js';

const Point = struct('struct point', { x: u16, y: s32 });
const Thing = struct('struct thing', {
  flag: u8,
  big: u64,
  points: array(Point, 2),
  words: array(ulong, 3),
  u: union('', { whole: u32, half: u16 }),
  name: text(8),
  raw: bytes(3),
});

describe('struct', () => {
  it('places fields as a C compiler does', () => {
    expect(Point.offset).toEqual({ x: 0, y: 4 });
    expect(Thing.offset).toEqual({ flag: 0, big: 8, points: 16, words: 32, u: 56, name: 60, raw: 68 });
    expect([Thing.size, Thing.align]).toEqual([72, 8]);
  });

  it('lays the same declaration out for a 32-bit guest', () => {
    const small = Thing.for(x86_32);
    expect(small.offset).toEqual({ flag: 0, big: 4, points: 12, words: 28, u: 40, name: 44, raw: 52 });
    expect(small.size).toBe(56);
    const thing = small.create();
    thing.words.set(1, 0x1_2345_6789n);
    expect(thing.words.get(1)).toBe(0x2345_6789n);
  });

  it('reads and writes little-endian memory in place', () => {
    const view = new DataView(new ArrayBuffer(256), 16);
    const thing = Thing.at(view, 8);
    thing.big = 0x8000_0000_0000_0001n;
    thing.points.get(1).y = -2;
    thing.u.whole = 0xdead_beef;
    expect(view.getUint8(16)).toBe(1);
    expect(view.getInt32(8 + 16 + 8 + 4, true)).toBe(-2);
    expect(thing.u.half).toBe(0xbeef);
    expect(thing.big).toBe(0x8000_0000_0000_0001n);
    expect(thing.points.get(1)).toBe(thing.points.get(1));
  });

  it('copies a struct out of shared memory', () => {
    const view = new DataView(new ArrayBuffer(64));
    const copy = Point.copy(view, 8);
    view.setUint16(8, 7, true);
    expect(copy.x).toBe(0);
    expect(Point.at(view, 8).x).toBe(7);
  });
});

describe('arrays, text and bytes', () => {
  it('refuses an index outside the array', () => {
    const thing = Thing.create();
    expect(() => thing.words.get(3)).toThrow(RangeError);
    expect(() => thing.words.set(-1, 0n)).toThrow(RangeError);
    expect(thing.points.length).toBe(2);
    expect([...thing.words]).toEqual([0n, 0n, 0n]);
  });

  it('ends text at its first NUL and clears what it does not fill', () => {
    const thing = Thing.create();
    thing.name = 'longest';
    thing.name = 'abc';
    expect(thing.name).toBe('abc');
    expect(new Uint8Array(thing.$view.buffer, 60, 8)).toEqual(new Uint8Array([97, 98, 99, 0, 0, 0, 0, 0]));
    expect(() => {
      thing.name = '12345678';
    }).toThrow(RangeError);
  });

  it('shows bytes as a live view and copies on assignment', () => {
    const thing = Thing.create();
    thing.raw = new Uint8Array([1, 2, 3]);
    thing.raw = new Uint8Array([9]);
    expect([...thing.raw]).toEqual([9, 0, 0]);
    thing.raw[2] = 5;
    expect([...thing.raw]).toEqual([9, 0, 5]);
    expect(() => {
      thing.raw = new Uint8Array(4);
    }).toThrow(RangeError);
  });
});

describe('declarations that depend on the ABI', () => {
  const Wide = struct('struct wide', { a: ulong, b: only(x86_64, u32), c: only(x86_32, u16) });
  const Registers = struct('struct registers', { rax: u64 }, { only: x86_64 });

  it('leaves a field out where C has none', () => {
    expect([Wide.size, Wide.for(x86_32).size]).toEqual([16, 8]);
    expect([...walkFields(Wide, x86_32)].map((f) => f.path)).toEqual(['a', 'c']);
    expect(() => Wide.create().c).toThrow(TypeError);
  });

  it('refuses a layout that the other ABI does not have', () => {
    expect(Registers.for(x86_64)).toBe(Registers);
    expect(() => Registers.for(x86_32)).toThrow(RangeError);
  });

  it('packs without padding on request', () => {
    const Packed = struct('', { a: u8, b: u64, c: u16 }, { packed: true });
    expect([Packed.size, Packed.align, Packed.offset.b, Packed.offset.c]).toEqual([11, 1, 1, 9]);
  });

  it('walks into anonymous members only', () => {
    const outer = struct('', { p: Point, u: union('', { n: u32, inner: struct('', { x: u8, y: u8 }) }) });
    expect([...walkFields(outer)].map((f) => `${f.path}@${f.offset}`)).toEqual([
      'p@0',
      'u@8',
      'u.n@8',
      'u.inner@8',
      'u.inner.x@8',
      'u.inner.y@9',
    ]);
  });
});
