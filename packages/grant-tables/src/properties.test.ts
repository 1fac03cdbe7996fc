import {
  DOMID_SELF,
  EBUSY,
  GNTMAP_device_map,
  GNTMAP_host_map,
  GNTMAP_readonly,
  GNTST_okay,
  GTF_accept_transfer,
  GTF_permit_access,
  GTF_readonly,
  GTF_transitive,
} from '@xenolith/xen-abi';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Model } from './model.js';
import { testHost } from './testing.js';

type World = ReturnType<typeof world>;
type Run = (world: World) => void;

function world() {
  const host = testHost();
  return { ...host, model: new Model(host) };
}

const pv = fc.constantFrom(1, 2, 3);
const anyDomid = fc.constantFrom(0, 1, 2, 3, 7, DOMID_SELF);
const ref = fc.integer({ min: 8, max: 11 });
const anyRef = fc.oneof(
  { weight: 9, arbitrary: ref },
  { weight: 1, arbitrary: fc.constantFrom(255, 256, 511, 512) },
);
const frame = fc.integer({ min: 14, max: 66 });
const halves = fc.constantFrom(GNTMAP_host_map, GNTMAP_device_map, GNTMAP_host_map | GNTMAP_device_map);
const mapFlags = fc.tuple(halves, fc.constantFrom(0, GNTMAP_readonly)).map(([half, access]) => half | access);
const address = fc.constantFrom(0x1000n, 0x2000n, 0x3000n, 0xbadn);

/** A guest writes an entry of any kind, in the layout that it chose. */
const write = fc
  .tuple(
    pv,
    ref,
    fc.constantFrom(1, 2, 3, 0),
    frame,
    fc.constantFrom('page', 'part', 'through', 'transfer'),
    anyDomid,
    ref,
    fc.boolean(),
  )
  .map(
    ([domid, r, to, f, kind, through, throughRef, isReadonly]): Run =>
      ({ grant, grantPart, grants, model, passOn }) => {
        const readonly = isReadonly ? GTF_readonly : 0;
        const set = (flags: number, rest: object = {}) =>
          model.entries.set(`${domid}:${r}`, { flags, to, frame: f, ...rest });
        if (kind === 'transfer') {
          grant(domid, r, to, f, GTF_accept_transfer);
          set(GTF_accept_transfer);
        } else if (kind === 'page' || grants.getVersion(domid, domid) === 1) {
          grant(domid, r, to, f, GTF_permit_access | readonly);
          set(GTF_permit_access | readonly);
        } else if (kind === 'part') {
          grantPart(domid, r, to, f, 16, 64, readonly);
          set(GTF_permit_access | readonly | 0x100, { offset: 16, length: 64 });
        } else {
          passOn(domid, r, to, through, throughRef, readonly);
          set(GTF_transitive | readonly, { through, throughRef });
        }
      },
  );

const map = fc.tuple(pv, anyDomid, anyRef, mapFlags, address).map(
  ([holder, dom, r, flags, hostAddr]): Run =>
    ({ grants, mapper, model }) => {
      if (mapper.mapped.has(`${holder}:${hostAddr}`)) return; // One PTE maps one thing.
      const request = { hostAddr, flags, ref: r, dom };
      const expected = model.map(holder, request);
      const got = grants.map(holder, 0, request);
      expect(got.status).toBe(expected.status);
      if (got.status !== GNTST_okay) return;
      const { mfn } = expected;
      expect(got.devBusAddr).toBe(BigInt(mfn) << 12n);
      model.mappings.push({ holder, granter: dom, ref: r, mfn, flags, hostAddr, handle: got.handle });
    },
);

const unmap = fc.tuple(fc.nat(), fc.boolean(), fc.boolean()).map(
  ([n, host, device]): Run =>
    ({ grants, model }) => {
      const m = model.mappings[n % model.mappings.length];
      if (!m) return;
      const devBusAddr = device ? BigInt(m.mfn) << 12n : 0n;
      const { handle, hostAddr } = m;
      expect(grants.unmap(m.holder, { hostAddr: host ? hostAddr : 0n, devBusAddr, handle })).toBe(GNTST_okay);
      m.flags &= ~((host ? GNTMAP_host_map : 0) | (device ? GNTMAP_device_map : 0));
      if (!(m.flags & (GNTMAP_host_map | GNTMAP_device_map)))
        model.mappings.splice(model.mappings.indexOf(m), 1);
    },
);

const offset = fc.constantFrom(0, 16, 32, 79, 4090);
const copy = fc
  .tuple(pv, anyDomid, ref, offset, anyDomid, ref, offset, frame, fc.integer({ min: 0, max: 3 }))
  .map(
    ([holder, from, r, at, to, toRef, toAt, f, flags]): Run =>
      ({ grants, model }) => {
        const request = {
          source: { domid: from, frame: flags & 1 ? r : f, offset: at },
          dest: { domid: to, frame: flags & 2 ? toRef : f, offset: toAt },
          length: 32,
          flags,
        };
        const status = grants.copy(holder, request);
        if (model.mappings.length === 0) expect(status).toBe(model.copy(holder, request));
      },
  );

const transfer = fc.tuple(pv, frame, anyDomid, ref).map(
  ([domid, f, to, r]): Run =>
    ({ grants, memory, model }) => {
      const before = memory.owner(f);
      const entry = model.entry(to, r);
      const status = grants.transfer(domid, { frame: f, domid: to, ref: r });
      const isOkay = entry.flags === GTF_accept_transfer && entry.to === domid && status === GNTST_okay;
      if (isOkay) model.entries.set(`${to}:${r}`, { ...entry, flags: entry.flags | 12, frame: f });
      expect(status === GNTST_okay).toBe(isOkay);
      expect(memory.owner(f)).toBe(isOkay ? to : status === -9 ? before : undefined);
    },
);

const setVersion = fc.tuple(pv, fc.constantFrom(1, 2)).map(
  ([domid, version]): Run =>
    ({ grants, model }) => {
      const isSame = grants.getVersion(domid, domid) === version;
      const isBusy = model.mappings.some((m) => m.granter === domid);
      expect(grants.setVersion(domid, version).result).toBe(isBusy && !isSame ? -EBUSY : 0);
      if (!isBusy && !isSame) model.forget(domid);
    },
);

const swap = fc.tuple(pv, ref, ref).map(
  ([domid, a, b]): Run =>
    ({ grants, model }) => {
      if (grants.swap(domid, a, b) !== GNTST_okay) return;
      const [first, second] = [model.entry(domid, a), model.entry(domid, b)];
      model.entries.set(`${domid}:${a}`, second).set(`${domid}:${b}`, first);
    },
);

it('several domains with both versions do as the model says, and no count is lost', () => {
  const operation = fc.oneof(
    { weight: 6, arbitrary: write },
    { weight: 6, arbitrary: map },
    { weight: 3, arbitrary: unmap },
    { weight: 4, arbitrary: copy },
    transfer,
    setVersion,
    swap,
  );
  fc.assert(
    fc.property(fc.array(operation, { minLength: 60, maxLength: 200, size: 'max' }), (operations) => {
      const here = world();
      const { grants, memory, model } = here;
      for (const run of operations) {
        run(here);
        grants.checkInvariants();
        const { refs, types } = model.references();
        expect(memory.refs.join()).toBe(refs.join());
        expect(memory.types.join()).toBe(types.join());
        const reach = (isMapped: (holder: number, mfn: number, write: boolean) => boolean) =>
          [1, 2, 3]
            .flatMap((d) => [20, 40, 50].flatMap((f) => [isMapped(d, f, false), isMapped(d, f, true)]))
            .join();
        expect(reach((...of) => grants.isMappedBy(...of))).toBe(reach((...of) => model.isMapped(...of)));
      }
      for (const domid of [3, 2, 1, 0]) grants.setDying(domid);
      grants.checkInvariants();
      for (const domid of [3, 2, 1, 0]) grants.removeDomain(domid);
      expect(memory.tables).toHaveLength(15);
    }),
    { numRuns: 50 },
  );
});
