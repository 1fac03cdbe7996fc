import { x86_32, x86_64 } from '@xenolith/xen-abi';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BlockRequest,
  decodeRequest,
  decodeResponse,
  decodeSegments,
  encodeRequest,
  encodeResponse,
  encodeSegments,
  parseVdev,
  slotSize,
} from './index.js';

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const ref = fc.integer({ min: 0, max: 0xffff_ffff });
const byte = fc.integer({ min: 0, max: 255 });
const segment = fc.record({ ref, first: byte, last: byte });
const rw = fc
  .record({
    kind: fc.constantFrom('read' as const, 'write' as const, 'barrier' as const, 'flush' as const),
    id: u64,
    sector: u64,
    segments: fc.array(segment, { maxLength: 11 }),
  })
  .map((request) => ({ ...request, claimed: request.segments.length }));
const request: fc.Arbitrary<BlockRequest> = fc.oneof(
  rw,
  fc.record({
    kind: fc.constant('indirect' as const),
    id: u64,
    sector: u64,
    operation: byte,
    claimed: fc.integer({ min: 0, max: 0xffff }),
    refs: fc.array(ref, { minLength: 8, maxLength: 8 }),
  }),
  fc.record({
    kind: fc.constant('discard' as const),
    id: u64,
    sector: u64,
    sectors: u64,
    secure: fc.boolean(),
  }),
);

describe('requests', () => {
  it.each([x86_64, x86_32])('come back as they were put in: $name', (abi) => {
    fc.assert(
      fc.property(request, (request) => {
        expect(decodeRequest(encodeRequest(request, 51712, abi), abi)).toEqual(request);
      }),
    );
  });

  it('any bytes are some request', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 112, maxLength: 112 }),
        fc.constantFrom(x86_64, x86_32),
        (slot, abi) => {
          const decoded = decodeRequest(slot.slice(0, slotSize(abi)), abi);
          expect(decoded.id).toBeTypeOf('bigint');
          if ('segments' in decoded) expect(decoded.segments.length).toBeLessThanOrEqual(11);
        },
      ),
    );
  });

  it('have the sizes that blkif.h gives the slots', () => {
    expect([slotSize(x86_64), slotSize(x86_32)]).toEqual([112, 108]);
  });
});

it('indirect pages hold 512 segments', () => {
  const segments = Array.from({ length: 512 }, (_, i) => ({ ref: i * 7, first: i % 8, last: 7 }));
  const page = new Uint8Array(4096);
  page.set(encodeSegments(segments));
  expect(decodeSegments(page, 512)).toEqual(segments);
});

it('responses come back as they were put in', () => {
  for (const abi of [x86_64, x86_32]) {
    const response = { id: 2n ** 63n + 5n, operation: 3, status: -2 };
    expect(decodeResponse(encodeResponse(response, abi), abi)).toEqual(response);
  }
});

describe('names of virtual devices (xen-vbd-interface)', () => {
  it.each([
    ['xvda', 0xca00],
    ['xvda1', 0xca01],
    ['xvdb', 0xca10],
    ['xvdp15', 0xcaff],
    ['xvdq', (1 << 28) | (16 << 8)],
    ['xvda16', (1 << 28) | 16],
    ['xvdaa', (1 << 28) | (26 << 8)],
    ['sda', 0x800],
    ['sdb3', 0x813],
    ['hda', 0x300],
    ['hdb', 0x340],
    ['hdc', 0x1600],
    ['d0p1', 0xca01],
    ['d20', (1 << 28) | (20 << 8)],
    ['51712', 51712],
    ['0xca10', 0xca10],
  ])('%s is %i', (name, number) => expect(parseVdev(name)).toBe(number));

  it.each(['', 'xvd', 'vda', 'hde', 'sdq', 'sda16', 'xvda-1', 'xvdaaaa'])('%j is refused', (name) =>
    expect(() => parseVdev(name)).toThrow(RangeError),
  );
});
