import { InvariantError } from '@xenolith/host-interface';
import { DOMID_INVALID, GNTMAP_device_map, GNTMAP_host_map, GNTMAP_readonly } from '@xenolith/xen-abi';
import { pinsOf } from './active-entry.js';
import type { DomainGrants } from './domain-grants.js';

/** See `GrantTables.checkInvariants`: recounts pins and host mappings from the mapping handles. */
export function checkInvariants(domains: ReadonlyMap<number, DomainGrants>): void {
  const pins = new Map<string, number>();
  for (const holder of domains.values()) {
    const uses = new Map<number, [readers: number, writers: number, devices: number]>();
    for (const [handle, map] of holder.maptrack.live()) {
      if (map.granter === DOMID_INVALID) continue;
      const granter = domains.get(map.granter);
      if (!granter) throw new InvariantError(`Handle ${handle} of domain ${holder.domid}: granter is gone.`);
      const active = granter.activeEntry(map.ref);
      if (active.domid !== holder.domid) {
        throw new InvariantError(`Grant ${map.ref} of domain ${granter.domid} does not know its user.`);
      }
      const key = `${granter.domid}:${map.ref}`;
      pins.set(key, (pins.get(key) ?? 0) + pinsOf(map.flags));
      const use = uses.get(map.granter * 2 ** 32 + active.mfn) ?? [0, 0, 0];
      if (map.flags & GNTMAP_host_map) use[map.flags & GNTMAP_readonly ? 0 : 1]++;
      if (map.flags & GNTMAP_device_map) use[2]++;
      uses.set(map.granter * 2 ** 32 + active.mfn, use);
    }
    const recounted = [...uses].map(([key, use]) => `${key}: ${use.join(' ')}`).sort();
    if (recounted.join() !== holder.describeUses().join())
      throw new InvariantError(`Domain ${holder.domid} miscounts its mappings.`);
  }
  for (const granter of domains.values()) {
    for (const [ref, active] of granter.pinned()) {
      const key = `${granter.domid}:${ref}`;
      if (pins.get(key) !== active.pin) {
        throw new InvariantError(
          `Grant ${key} has pins ${active.pin}, its mappings make ${pins.get(key) ?? 0}.`,
        );
      }
      pins.delete(key);
    }
  }
  if (pins.size > 0)
    throw new InvariantError(`Mapped but not pinned: grants ${[...pins.keys()].join(', ')}.`);
}

/** References that a mapping holds of a frame. */
export interface HeldReferences {
  mfn: number;
  general: number;
  /** Writable type references among them. */
  writable: number;
}

/** See `GrantTables.heldReferences`. */
export function* heldReferences(domains: ReadonlyMap<number, DomainGrants>): Generator<HeldReferences> {
  for (const holder of domains.values()) {
    for (const [, { granter: domid, ref, flags }] of holder.maptrack.live()) {
      const granter = domains.get(domid);
      if (!granter) continue;
      const { mfn } = granter.activeEntry(ref);
      const writable = flags & GNTMAP_readonly ? 0 : 1;
      if (flags & GNTMAP_device_map) yield { mfn, general: 1, writable };
      // A PV domain's host mapping is a page-table entry.
      if (flags & GNTMAP_host_map && holder.translated) yield { mfn, general: 1, writable };
    }
  }
}
