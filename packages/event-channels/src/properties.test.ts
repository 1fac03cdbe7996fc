import { DOMID_SELF } from '@xenolith/xen-abi';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { testHost } from './testing.js';

const domid = fc.integer({ min: 0, max: 2 });
const anyDomid = fc.constantFrom(0, 1, 2, 3, DOMID_SELF);
const port = fc.integer({ min: 0, max: 12 });
const vcpu = fc.integer({ min: 0, max: 2 });
const virq = fc.integer({ min: -1, max: 24 });

type Events = ReturnType<typeof testHost>['events'];
const operation = fc.oneof(
  fc.tuple(domid, anyDomid, anyDomid).map(
    ([c, d, r]) =>
      (e: Events) =>
        e.allocUnbound(c, d, r),
  ),
  fc.tuple(domid, anyDomid, port).map(
    ([c, d, p]) =>
      (e: Events) =>
        e.bindInterdomain(c, d, p),
  ),
  fc.tuple(domid, virq, vcpu).map(
    ([c, n, v]) =>
      (e: Events) =>
        e.bindVirq(c, n, v),
  ),
  fc.tuple(domid, vcpu).map(
    ([c, v]) =>
      (e: Events) =>
        e.bindIpi(c, v),
  ),
  fc.tuple(domid, port).map(
    ([c, p]) =>
      (e: Events) =>
        e.close(c, p),
  ),
  fc.tuple(domid, port).map(
    ([c, p]) =>
      (e: Events) =>
        e.send(c, p),
  ),
  fc.tuple(domid, port, vcpu).map(
    ([c, p, v]) =>
      (e: Events) =>
        e.bindVcpu(c, p, v),
  ),
  fc.tuple(domid, port).map(
    ([c, p]) =>
      (e: Events) =>
        e.unmask(c, p),
  ),
  fc.tuple(domid, anyDomid).map(
    ([c, d]) =>
      (e: Events) =>
        e.reset(c, d),
  ),
  fc.tuple(domid, virq).map(
    ([c, n]) =>
      (e: Events) =>
        void e.raiseVirq(c, n),
  ),
);

it('keeps its invariants whatever guests do, and answers with 0, a port or an errno', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80 }), (operations) => {
      const { events } = testHost(8);
      for (const run of operations) {
        const result = run(events) ?? 0;
        expect(result).toBeGreaterThan(-100);
        expect(result).toBeLessThan(1024);
        events.checkInvariants();
      }
      for (const d of [2, 1, 0]) {
        events.removeDomain(d);
        events.checkInvariants();
      }
    }),
    { numRuns: 200 },
  );
});

it('the checker finds a table that contradicts itself', () => {
  const { events } = testHost();
  const a = events.allocUnbound(1, DOMID_SELF, 2);
  events.bindInterdomain(2, 1, a);
  const domains = (
    events as unknown as { domains: Map<number, { table: { ports: { remotePort: number }[] } }> }
  ).domains;
  domains.get(1)!.table.ports[a]!.remotePort = 5;
  expect(() => events.checkInvariants()).toThrow('does not agree');
});
