import { describe, expect, it } from 'vitest';
import type { BlockRequest, Segment } from '../codec/index.js';
import { encodeSegments } from '../codec/index.js';
import { BadRequest, type Limits, planRequest } from './plan.js';

const limits: Limits = {
  size: 1 << 20,
  sectorSize: 512,
  readonly: false,
  canDiscard: true,
  maxIndirectSegments: 256,
};
const whole: Segment = { ref: 9, first: 0, last: 7 };
const rw = (over: Partial<BlockRequest & { kind: 'read' }> = {}): BlockRequest => {
  const segments = over.segments ?? [whole];
  return { kind: 'read', id: 1n, sector: 8n, segments, claimed: segments.length, ...over };
};
const indirect = (over: Partial<BlockRequest & { kind: 'indirect' }> = {}): BlockRequest => ({
  kind: 'indirect',
  id: 1n,
  sector: 0n,
  operation: 0,
  claimed: 100,
  refs: [5, 6, 0, 0, 0, 0, 0, 0],
  ...over,
});
const page = (): Uint8Array => {
  const bytes = new Uint8Array(4096);
  bytes.set(encodeSegments(Array.from({ length: 512 }, () => whole)));
  return bytes;
};
const plan = (request: BlockRequest, over: Partial<Limits> = {}) =>
  planRequest(request, { ...limits, ...over }, page);

describe('requests that make sense, in bytes', () => {
  it('reads and writes of parts of pages', () => {
    const segments = [whole, { ref: 10, first: 2, last: 3 }];
    expect(plan(rw({ segments }))).toEqual({ kind: 'read', offset: 4096, length: 5120, segments });
    expect(plan({ ...rw(), kind: 'write' } as BlockRequest)).toMatchObject({ kind: 'write', length: 4096 });
  });
  it('larger sectors', () => {
    const segments = [{ ref: 1, first: 0, last: 0 }];
    expect(plan(rw({ segments, sector: 2n }), { sectorSize: 4096 })).toMatchObject({
      offset: 8192,
      length: 4096,
    });
  });
  it('indirect ones', () => {
    expect(plan(indirect())).toMatchObject({ kind: 'read', offset: 0, length: 100 * 4096 });
    expect(plan(indirect({ operation: 1 }))).toMatchObject({ kind: 'write' });
  });
  it('the last sector, an empty barrier, a flush, a discard of nothing', () => {
    expect(plan(rw({ sector: 2047n, segments: [{ ref: 1, first: 0, last: 0 }] }))).toMatchObject({
      length: 512,
    });
    expect(plan(rw({ kind: 'barrier', segments: [] } as never))).toMatchObject({
      kind: 'barrier',
      length: 0,
    });
    expect(plan(rw({ kind: 'flush', segments: [] } as never))).toEqual({ kind: 'flush' });
    const discard: BlockRequest = { kind: 'discard', id: 1n, sector: 2048n, sectors: 0n, secure: false };
    expect(plan(discard)).toEqual({ kind: 'discard', offset: 1 << 20, length: 0 });
  });
});

describe('requests that are refused', () => {
  const discard: BlockRequest = { kind: 'discard', id: 1n, sector: 0n, sectors: 8n, secure: false };
  it.each<[string, BlockRequest, Partial<Limits>, boolean]>([
    ['no segments', rw({ segments: [] }), {}, false],
    ['more segments than a slot has', rw({ claimed: 12 }), {}, false],
    ['a segment that ends before it begins', rw({ segments: [{ ref: 1, first: 3, last: 2 }] }), {}, false],
    ['a segment that leaves its page', rw({ segments: [{ ref: 1, first: 0, last: 8 }] }), {}, false],
    [
      'a segment that leaves its page of large sectors',
      rw({ segments: [{ ref: 1, first: 0, last: 1 }] }),
      { sectorSize: 4096 },
      false,
    ],
    ['sectors behind the end', rw({ sector: 2041n }), {}, false],
    ['sectors far behind the end', rw({ sector: 2n ** 64n - 1n }), {}, false],
    ['any read of an empty drive', rw({ sector: 0n }), { size: 0 }, false],
    ['a write to a read-only disk', rw({ kind: 'write' } as never), { readonly: true }, false],
    ['a discard on a read-only disk', discard, { readonly: true }, false],
    ['a discard that the disk cannot do', discard, { canDiscard: false }, true],
    ['a secure discard', { ...discard, secure: true }, {}, true],
    ['a discard without end', { ...discard, sectors: 2n ** 64n - 1n }, {}, false],
    ['more indirect segments than offered', indirect({ claimed: 257 }), {}, false],
    ['no indirect segments', indirect({ claimed: 0 }), {}, false],
    ['an indirect flush', indirect({ operation: 3 }), {}, false],
    ['an indirect request that is not offered', indirect(), { maxIndirectSegments: 0 }, false],
    ['an operation that does not exist', { kind: 'unknown', id: 1n, operation: 77 }, {}, false],
  ])('%s', (_, request, over, unsupported) => {
    expect(() => plan(request, over)).toThrow(BadRequest);
    try {
      plan(request, over);
    } catch (error) {
      expect((error as BadRequest).unsupported).toBe(unsupported);
    }
  });
});
