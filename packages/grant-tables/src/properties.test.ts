import { DOMID_SELF, GNTMAP_device_map, GNTMAP_host_map, GNTMAP_readonly } from '@xenolith/xen-abi';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { testHost } from './testing.js';

type Host = ReturnType<typeof testHost>;
type Held = { domid: number; handle: number; hostAddr: bigint };
type Run = (host: Host, held: Held[]) => void;

const pv = fc.constantFrom(1, 2);
const anyDomid = fc.constantFrom(0, 1, 2, 3, DOMID_SELF);
const ref = fc.integer({ min: 0, max: 10 });
const frame = fc.integer({ min: 14, max: 50 });
const mapFlags = fc.constantFrom(
  ...[GNTMAP_host_map, GNTMAP_device_map, GNTMAP_host_map | GNTMAP_device_map].flatMap((f) => [
    f,
    f | GNTMAP_readonly,
  ]),
);
const address = fc.constantFrom(0x1000n, 0x2000n, 0x3000n, 0xbadn);

const guestWrites = fc.tuple(pv, ref, anyDomid, frame, fc.integer({ min: 0, max: 0x1ff })).map(
  ([d, r, to, f, flags]): Run =>
    (h) =>
      h.grant(d, r, to, f, flags),
);
const honestGrant = fc.tuple(pv, ref, pv, frame).map(
  ([d, r, to, f]): Run =>
    (h) =>
      h.grant(d, r, to, f),
);
const map = fc.tuple(pv, anyDomid, ref, mapFlags, address).map(
  ([domid, dom, r, flags, hostAddr]): Run =>
    ({ grants, mapper }, held) => {
      if (mapper.mapped.has(`${domid}:${hostAddr}`)) return; // One PTE maps one thing.
      const { status, handle } = grants.map(domid, 0, { hostAddr, flags, ref: r, dom });
      if (status === 0) held.push({ domid, handle, hostAddr });
    },
);
const unmap = fc.tuple(fc.nat(), fc.boolean(), fc.boolean()).map(
  ([n, host, device]): Run =>
    ({ grants }, held) => {
      const chosen = held[n % held.length];
      if (!chosen) return;
      const { domid, handle, hostAddr } = chosen;
      const bus = BigInt(20 + (n % 4)) << 12n;
      grants.unmap(domid, { hostAddr: host ? hostAddr : 0n, devBusAddr: device ? bus : 0n, handle });
    },
);
const copy = fc.tuple(pv, anyDomid, ref, anyDomid, frame, fc.integer({ min: 0, max: 3 })).map(
  ([domid, from, r, to, f, flags]): Run =>
    ({ grants }) =>
      void grants.copy(domid, {
        source: { domid: from, frame: r, offset: 0 },
        dest: { domid: to, frame: flags & 2 ? r : f, offset: 16 },
        length: 32,
        flags,
      }),
);
const native = fc.tuple(pv, ref, fc.boolean()).map(
  ([d, r, readonly]): Run =>
    ({ grants }) => {
      const mapping = grants.mapForNative(0, d, r, readonly);
      if (typeof mapping !== 'number' && r % 2) grants.unmapForNative(0, mapping);
    },
);
const swap = fc.tuple(pv, ref, ref).map(
  ([d, a, b]): Run =>
    ({ grants }) =>
      void grants.swap(d, a, b),
);

/** References that the mappings of all domains must hold, from the pins of every grant. */
function pinnedRefs({ grants }: Host): { refs: number[]; types: number[] } {
  const refs = new Array<number>(64).fill(0);
  const types = new Array<number>(64).fill(0);
  const domains = (
    grants as unknown as {
      domains: Map<number, { pinned(): Iterable<[number, { pin: number; mfn: number }]> }>;
    }
  ).domains;
  for (const domain of domains.values()) {
    for (const [, { pin, mfn }] of domain.pinned()) {
      const [hw, hr, dw, dr] = [pin & 255, (pin >> 8) & 255, (pin >> 16) & 255, pin >>> 24];
      refs[mfn]! += hw! + hr! + dw! + dr!;
      types[mfn]! += hw! + dw!;
    }
  }
  return { refs, types };
}

it('counts of references and types equal the pins, whatever guests do', () => {
  const operation = fc.oneof(
    guestWrites,
    { weight: 4, arbitrary: honestGrant },
    { weight: 4, arbitrary: map },
    unmap,
    copy,
    native,
    swap,
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 100 }), (operations) => {
      const host = testHost();
      const held: Held[] = [];
      for (const run of operations) {
        run(host, held);
        host.grants.checkInvariants();
        const expected = pinnedRefs(host);
        expect(host.memory.refs).toEqual(expected.refs);
        expect(host.memory.types).toEqual(expected.types);
      }
      for (const domid of [2, 1, 0]) host.grants.setDying(domid);
      host.grants.checkInvariants();
      for (const domid of [2, 1, 0]) host.grants.removeDomain(domid);
    }),
    { numRuns: 200 },
  );
});
