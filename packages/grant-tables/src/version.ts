import {
  EBUSY,
  EINVAL,
  ENOMEM,
  ENOSYS,
  ERANGE,
  GNTTAB_NR_RESERVED_ENTRIES,
  GTF_permit_access,
  GTF_reading,
  GTF_transitive,
  GTF_type_mask,
  GTF_writing,
} from '@xenolith/xen-abi';
import { PAGE_SIZE } from './constants.js';
import type { DomainGrants } from './domain-grants.js';
import type { GrantMemory } from './grant-memory.js';
import type { GrantVersion } from './shared-entry.js';

const STATUS = GTF_reading | GTF_writing;

/** A reserved entry, which keeps its meaning when the layout changes. */
interface Kept {
  flags: number;
  domid: number;
  frame: number;
  status: number;
}

/**
 * GNTTABOP_set_version (`gnttab_set_version`): all entries are cleared but the reserved ones, by which the toolstack's
 * backends may be at work.
 * @returns 0 or −errno: EINVAL no such version, ENOSYS not for this domain, EBUSY entries in use or status words mapped,
 * ERANGE a reserved entry that version 1 cannot express, ENOMEM
 */
export function setVersion(memory: GrantMemory, domain: DomainGrants, version: number): number {
  if (version !== 1 && version !== 2) return -EINVAL;
  if (version > domain.maxVersion) return -ENOSYS;
  if (version === domain.version) return 0;
  for (const [ref] of domain.pinned()) if (ref >= GNTTAB_NR_RESERVED_ENTRIES) return -EBUSY;
  if (version === 2 && !domain.growStatus(domain.frames.length)) return -ENOMEM;
  if (version === 1 && !isRepresentable(domain)) return -ERANGE;
  const kept = keepReserved(domain);
  if (version === 1 && !domain.dropStatus()) return -EBUSY;
  for (const mfn of domain.frames) {
    memory.bytes.fill(0, mfn * PAGE_SIZE, (mfn + 1) * PAGE_SIZE);
    memory.wrote?.(mfn, 0, PAGE_SIZE);
  }
  domain.version = version;
  restoreReserved(domain, version, kept);
  return 0;
}

/** Whether every reserved entry of version 2 has a meaning in version 1. */
function isRepresentable(domain: DomainGrants): boolean {
  for (let ref = 0; ref < GNTTAB_NR_RESERVED_ENTRIES; ref++) {
    const { flags, frame } = domain.shared(ref).copy();
    const type = flags & GTF_type_mask;
    if (type === GTF_transitive || (type === GTF_permit_access && frame >= 2 ** 32)) return false;
  }
  return true;
}

/** Version 2 keeps only what grants access; version 1 keeps whatever stands there. */
function keepReserved(domain: DomainGrants): Kept[] {
  const kept: Kept[] = [];
  for (let ref = 0; ref < GNTTAB_NR_RESERVED_ENTRIES; ref++) {
    const shared = domain.shared(ref);
    const { flags, domid, frame } = shared.copy();
    const isKept = domain.version === 1 || (flags & GTF_type_mask) === GTF_permit_access;
    const { status } = shared;
    kept.push(isKept ? { flags, domid, frame, status } : { flags: 0, domid: 0, frame: 0, status: 0 });
  }
  return kept;
}

function restoreReserved(domain: DomainGrants, version: GrantVersion, kept: readonly Kept[]): void {
  for (const [ref, { flags, domid, frame, status }] of kept.entries()) {
    const shared = domain.shared(ref);
    if (version === 1) {
      shared.write(flags | status, domid, frame);
    } else {
      shared.write(flags & ~STATUS, domid, frame);
      shared.status = status & STATUS;
    }
  }
}
