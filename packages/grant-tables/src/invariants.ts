import { InvariantError } from '@xenolith/host-interface';
import { GNTMAP_host_map, GNTMAP_readonly } from '@xenolith/xen-abi';
import { pinsOf } from './active-entry.js';
import { type DomainGrants, WRITER } from './domain-grants.js';

/** See `GrantTables.checkInvariants`: recounts pins and host mappings from the mapping handles. */
export function checkInvariants(domains: ReadonlyMap<number, DomainGrants>): void {
  const pins = new Map<string, number>();
  for (const holder of domains.values()) {
    const mapped = new Map<number, number>();
    for (const [handle, map] of holder.maptrack.live()) {
      const granter = domains.get(map.granter);
      if (!granter) throw new InvariantError(`Handle ${handle} of domain ${holder.domid}: granter is gone.`);
      const active = granter.activeEntry(map.ref);
      if (active.domid !== holder.domid) {
        throw new InvariantError(`Grant ${map.ref} of domain ${granter.domid} does not know its user.`);
      }
      const key = `${granter.domid}:${map.ref}`;
      pins.set(key, (pins.get(key) ?? 0) + pinsOf(map.flags));
      if (map.flags & GNTMAP_host_map) {
        mapped.set(active.mfn, (mapped.get(active.mfn) ?? 0) + (map.flags & GNTMAP_readonly ? 1 : WRITER));
      }
    }
    const counted = holder.mappedCounts();
    const same = counted.size === mapped.size && [...mapped].every(([mfn, n]) => counted.get(mfn) === n);
    if (!same) throw new InvariantError(`Domain ${holder.domid} miscounts its host mappings.`);
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
