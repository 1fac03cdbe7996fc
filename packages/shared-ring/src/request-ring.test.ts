import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BackRing, FrontRing, viewMemory } from './index.js';

const options = { slotSize: 112 };

function ends() {
  const view = new DataView(new ArrayBuffer(4096));
  const front = new FrontRing(viewMemory(view), options);
  return { view, front, back: new BackRing(viewMemory(view), options) };
}

const slot = (n: number) => new Uint8Array([n & 255, n >> 8]);
const number = (bytes: Uint8Array) => bytes[0]! | (bytes[1]! << 8);

describe('request and response rings', () => {
  it('a page holds 32 slots of 112 bytes, after a header of 64', () => {
    const { view, front, back } = ends();
    expect([front.size, back.size]).toEqual([32, 32]);
    // req_prod, req_event, rsp_prod, rsp_event as SHARED_RING_INIT leaves them.
    expect([0, 4, 8, 12].map((at) => view.getUint32(at, true))).toEqual([0, 1, 0, 1]);
    front.put(slot(0x1234));
    front.push();
    expect(view.getUint16(64, true)).toBe(0x1234);
    expect(back.take()!.length).toBe(112);
  });

  it('refuses slots that do not fit', () => {
    const memory = viewMemory(new DataView(new ArrayBuffer(4096)));
    expect(() => new FrontRing(memory, { slotSize: 4096 })).toThrow(RangeError);
    expect(() => new FrontRing(memory, options).put(new Uint8Array(113))).toThrow(RangeError);
    expect(() => new BackRing(memory, options).put(slot(1))).toThrow('without a request');
  });

  it('every request is answered once, in order, and no notification is missed', () => {
    const step = fc.constantFrom('put', 'push', 'serve', 'answer', 'collect');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
        const { front, back } = ends();
        let next = 0;
        const served: number[] = [];
        const answered: number[] = [];
        // Each end works only when it was notified, until its final check finds nothing.
        let backAwake = false;
        let frontAwake = false;
        const serve = () => {
          if (!backAwake) return;
          do {
            for (let request = back.take(); request; request = back.take()) served.push(number(request));
          } while (back.finalCheck());
          backAwake = false;
        };
        const answer = () => {
          while (back.inFlight > 0) back.put(slot(served[served.length - back.inFlight]!));
          if (back.push()) frontAwake = true;
          // A full ring kept requests back.
          if (back.finalCheck()) backAwake = true;
        };
        const collect = () => {
          if (!frontAwake) return;
          do {
            for (let response = front.take(); response; response = front.take())
              answered.push(number(response));
          } while (front.finalCheck());
          frontAwake = false;
        };
        const actions = {
          put: () => {
            if (front.put(slot(next))) next++;
          },
          push: () => {
            if (front.push()) backAwake = true;
          },
          serve,
          answer,
          collect,
        };
        for (const each of steps) actions[each]();
        for (let i = 0; i < 3; i++) {
          actions.push();
          serve();
          answer();
          collect();
        }
        const all = Array.from({ length: next }, (_, i) => i);
        expect(served).toEqual(all);
        expect(answered).toEqual(all);
        expect([back.corrupt, front.corrupt, front.free]).toEqual([false, false, 32]);
      }),
    );
  });

  it('a hostile frontend gets at most a ring of requests taken, and then none', () => {
    const poke = fc.record({ at: fc.constantFrom(0, 4, 8, 12, 64, 176), value: fc.nat(0xffffffff) });
    fc.assert(
      fc.property(fc.array(poke, { maxLength: 50, size: 'max' }), (pokes) => {
        const { view, back } = ends();
        for (const { at, value } of pokes) {
          view.setUint32(at, value, true);
          let taken = 0;
          while (back.take()) taken++;
          expect(taken).toBeLessThanOrEqual(32);
          expect(back.inFlight).toBeLessThanOrEqual(32);
          back.finalCheck();
          if (back.inFlight > 0) back.put(slot(1));
          back.push();
        }
      }),
    );
  });

  it('a producer that overran is not believed again', () => {
    const { view, front, back } = ends();
    view.setUint32(0, 33, true);
    expect(back.take()).toBeUndefined();
    expect(back.corrupt).toBe(true);
    view.setUint32(0, 1, true);
    expect(back.take()).toBeUndefined();
    view.setUint32(8, 1, true);
    expect(front.take()).toBeUndefined();
    expect([front.corrupt, front.finalCheck()]).toEqual([true, false]);
  });

  it('goes on where an earlier backend stopped', () => {
    const { view, front, back } = ends();
    for (const n of [1, 2]) front.put(slot(n));
    front.push();
    back.take();
    back.put(slot(1));
    back.push();
    const second = new BackRing(viewMemory(view), options);
    expect(number(second.take()!)).toBe(2);
  });
});
