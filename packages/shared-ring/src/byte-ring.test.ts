import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteRing, ConsoleRing, viewMemory, XenstoreRing } from './index.js';

const layout = { data: 16, size: 64, cons: 0, prod: 4 };

function ring(start = 0) {
  const view = new DataView(new ArrayBuffer(4096));
  view.setUint32(layout.cons, start, true);
  view.setUint32(layout.prod, start, true);
  return { view, ring: new ByteRing(viewMemory(view), layout) };
}

describe('ByteRing', () => {
  it('is a queue of bytes, whatever the pieces and wherever its indices begin', () => {
    const step = fc.oneof(
      fc.record({ write: fc.uint8Array({ maxLength: 100 }) }),
      fc.record({ read: fc.nat(100) }),
    );
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.array(step, { size: 'max', maxLength: 60 }), (start, steps) => {
        const { ring: bytes } = ring(start);
        const model: number[] = [];
        for (const each of steps) {
          if ('write' in each) {
            const written = bytes.write(each.write)!;
            expect(written).toBe(Math.min(each.write.length, 64 - model.length));
            model.push(...each.write.subarray(0, written));
          } else {
            expect([...bytes.read(each.read)!]).toEqual(model.splice(0, each.read));
          }
          expect(bytes.used()).toBe(model.length);
          expect(bytes.free()).toBe(64 - model.length);
        }
      }),
    );
  });

  it('does nothing while indices are impossible, and stays inside its bytes', () => {
    fc.assert(
      fc.property(
        fc.nat(0xffffffff),
        fc.nat(0xffffffff),
        fc.uint8Array({ maxLength: 200 }),
        (cons, prod, data) => {
          const { view, ring: bytes } = ring();
          view.setUint32(layout.cons, cons, true);
          view.setUint32(layout.prod, prod, true);
          const before = new Uint8Array(view.buffer.slice(0));
          const used = (prod - cons) >>> 0;
          const written = bytes.write(data);
          const after = new Uint8Array(view.buffer.slice(0));
          if (used > 64) {
            expect([bytes.used(), bytes.free(), bytes.read(), written]).toEqual([null, null, null, null]);
            expect(after).toEqual(before);
          } else {
            expect(written).toBe(Math.min(data.length, 64 - used));
            expect(after.subarray(80)).toEqual(before.subarray(80));
            expect(bytes.read()!.length).toBe(used + written!);
          }
        },
      ),
    );
  });

  it('what was read does not change with the ring', () => {
    const { ring: bytes } = ring();
    bytes.write(new Uint8Array([1, 2, 3]));
    const read = bytes.read()!;
    bytes.write(new Uint8Array(64).fill(9));
    expect([...read]).toEqual([1, 2, 3]);
  });
});

describe('pages', () => {
  it('the console page lies as in io/console.h', () => {
    const view = new DataView(new ArrayBuffer(4096));
    const page = new ConsoleRing(viewMemory(view));
    expect([page.input.layout.size, page.output.layout.size]).toEqual([1024, 2048]);
    page.input.write(new Uint8Array([7]));
    page.output.write(new Uint8Array([8, 9]));
    expect([view.getUint8(0), view.getUint8(1024), view.getUint8(1025)]).toEqual([7, 8, 9]);
    const indices = [3072, 3076, 3080, 3084].map((offset) => view.getUint32(offset, true));
    expect(indices).toEqual([0, 1, 0, 2]);
  });

  it('the xenstore page lies as in io/xs_wire.h', () => {
    const view = new DataView(new ArrayBuffer(4096));
    const page = new XenstoreRing(viewMemory(view));
    page.requests.write(new Uint8Array([7]));
    page.responses.write(new Uint8Array([8, 9]));
    page.serverFeatures = 3;
    page.connection = 1;
    page.error = 2;
    expect([view.getUint8(0), view.getUint8(1024)]).toEqual([7, 8]);
    const words = [2048, 2052, 2056, 2060, 2064, 2068, 2072].map((offset) => view.getUint32(offset, true));
    expect(words).toEqual([0, 1, 0, 2, 3, 1, 2]);
    expect([page.serverFeatures, page.connection, page.error]).toEqual([3, 1, 2]);
    page.reset();
    expect([page.requests.used(), page.responses.used(), view.getUint32(2052, true)]).toEqual([0, 0, 0]);
  });
});
