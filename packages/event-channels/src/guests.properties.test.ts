import { DOMID_SELF, ERESTART } from '@xenolith/xen-abi';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { fifoGuest } from './fifo-guest.js';
import { testHost } from './testing.js';
import { twoLevelGuest } from './two-level-guest.js';

const PORTS = 6;
const port = fc.integer({ min: 1, max: PORTS });
const vcpu = fc.integer({ min: 0, max: 1 });

/** What an honest guest and its peer do. */
const honest = fc.oneof(
  fc.record({ kind: fc.constant('send' as const), port }),
  fc.record({ kind: fc.constant('mask' as const), port }),
  fc.record({ kind: fc.constant('unmask' as const), port }),
  fc.record({ kind: fc.constant('move' as const), port, vcpu }),
  fc.record({ kind: fc.constant('priority' as const), port, priority: fc.integer({ min: 0, max: 15 }) }),
  fc.record({ kind: fc.constant('handle' as const), vcpu }),
);

it.each([
  ['2-level', twoLevelGuest],
  ['FIFO', fifoGuest],
])('%s: loses no event of an honest guest and makes none up, whatever is masked and moved', (_name, make) => {
  fc.assert(
    fc.property(fc.array(honest, { maxLength: 120 }), (steps) => {
      const { events, ...host } = testHost();
      const guest = make({ events, ...host });
      guest.enter();
      // Port n of the guest is bound to port n of domain 0.
      for (let n = 1; n <= PORTS; n++) events.bindInterdomain(1, 0, events.allocUnbound(0, 0, 1));
      const owed = new Set<number>();
      for (let n = 1; n <= PORTS; n++) owed.add(n);
      const handle = (v: number) => {
        for (const got of guest.handle(v)) expect(owed.delete(got), `port ${got}`).toBe(true);
      };
      for (const step of steps) {
        switch (step.kind) {
          case 'send':
            owed.add(step.port);
            expect(events.send(0, step.port)).toBe(0);
            break;
          case 'mask':
            guest.mask(step.port);
            break;
          case 'unmask':
            events.unmask(1, step.port);
            break;
          case 'move':
            events.bindVcpu(1, step.port, step.vcpu);
            break;
          case 'priority':
            events.setPriority(1, step.port, step.priority);
            break;
          case 'handle':
            handle(step.vcpu);
        }
        events.checkInvariants();
        for (let n = 1; n <= PORTS; n++) expect(guest.isStuck(n), `port ${n}`).toBe(false);
      }
      for (let n = 1; n <= PORTS; n++) events.unmask(1, n);
      handle(0);
      handle(1);
      expect([...owed]).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

type Events = ReturnType<typeof testHost>['events'];
const anyPort = fc.oneof(
  fc.integer({ min: 0, max: 80 }),
  fc.constantFrom(1023, 1024, 4096, 131071, 2 ** 32 - 1),
);
const gfn = fc.integer({ min: -1, max: 9 });
const offset = fc.constantFrom(0, 8, 64, 4024, 4028, 4096, 2 ** 32 - 8);
const operation: fc.Arbitrary<(e: Events) => unknown> = fc.oneof(
  fc.tuple(vcpu, gfn, offset).map(
    ([v, g, o]) =>
      (e: Events) =>
        e.initControl(1, v, g, o),
  ),
  gfn.map((g) => (e: Events) => e.expandArray(1, g)),
  fc.tuple(anyPort, fc.integer({ min: 0, max: 17 })).map(
    ([p, n]) =>
      (e: Events) =>
        e.setPriority(1, p, n),
  ),
  vcpu.map((v) => (e: Events) => e.bindIpi(1, v)),
  fc.constant((e: Events) => e.bindInterdomain(1, 0, e.allocUnbound(0, 0, 1))),
  anyPort.map((p) => (e: Events) => e.close(1, p)),
  anyPort.map((p) => (e: Events) => e.send(1, p)),
  anyPort.map((p) => (e: Events) => e.send(0, p)),
  anyPort.map((p) => (e: Events) => e.unmask(1, p)),
  fc.tuple(anyPort, vcpu).map(
    ([p, v]) =>
      (e: Events) =>
        e.bindVcpu(1, p, v),
  ),
  fc.tuple(vcpu, anyPort).map(
    ([v, p]) =>
      (e: Events) =>
        e.poll(1, v, [p]),
  ),
  fc.boolean().map((resuming) => (e: Events) => e.reset(1, DOMID_SELF, resuming)),
);
/** A word anywhere in the guest's memory; some of the values are links to ports that are not there. */
const scribble = fc.record({
  word: fc.oneof(fc.integer({ min: 0, max: 8 * 1024 - 1 }), fc.integer({ min: 1024, max: 1200 })),
  value: fc.oneof(
    fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    fc.constantFrom(0, 2 ** 29, 2 ** 29 + 0x1_ffff, 2 ** 32 - 1, 2 ** 28),
  ),
});

it('a guest that writes anything at any time breaks nothing but its own events', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(operation, fc.option(scribble)), { maxLength: 80 }), (steps) => {
      const { events, bytes, held, page } = testHost();
      const view = new DataView(bytes.buffer);
      bytes.subarray(0, page(1)).fill(0x5a);
      bytes.subarray(page(2)).fill(0x5a);
      for (const [run, write] of steps) {
        if (write) view.setUint32(page(1) + write.word * 4, write.value, true);
        const result = run(events);
        if (typeof result === 'number') {
          expect(result).toBeGreaterThan(-100);
          expect(result).not.toBe(-ERESTART);
          expect(result).toBeLessThan(1024);
        }
        events.checkInvariants();
      }
      const others = [bytes.subarray(0, page(1)), bytes.subarray(page(2))];
      expect(others.every((memory) => memory.every((byte) => byte === 0x5a))).toBe(true);
      const references = [...events.heldPages(1)].length;
      expect([...held().values()].reduce((sum, n) => sum + n, 0)).toBe(references);
      events.removeDomain(1);
      events.checkInvariants();
      expect(held().size).toBe(0);
    }),
    { numRuns: 500 },
  );
});
