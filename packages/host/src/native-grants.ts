import type { CopyPointer } from '@xenolith/grant-tables';
import { NativeMapping } from '@xenolith/grant-tables';
import type { GrantCopyEnd, GrantMapping, Grants } from '@xenolith/guest-api';
import type { Hypervisor, NativeDomain } from '@xenolith/hypervisor-core';
import {
  DOMID_SELF,
  GNTCOPY_dest_gref,
  GNTCOPY_source_gref,
  GNTST_bad_domain,
  GNTST_okay,
  GNTTAB_NR_RESERVED_ENTRIES,
  GTF_readonly,
} from '@xenolith/xen-abi';

const REFS_PER_FRAME = 512;

/** A native domain's grants: what others grant to it, and the refs that it gives out itself. */
export function nativeGrants(hv: Hypervisor, domain: NativeDomain): Grants {
  const { domid } = domain;
  /** Refs that were given back, to be used again first. */
  const free: number[] = [];
  let nextRef = GNTTAB_NR_RESERVED_ENTRIES;
  let size = REFS_PER_FRAME;

  const grow = (): boolean => {
    const frames = size / REFS_PER_FRAME + 1;
    if (hv.grants.setupTable(domid, DOMID_SELF, frames).status !== GNTST_okay) return false;
    size = frames * REFS_PER_FRAME;
    return true;
  };
  const takeRef = (): number => {
    const ref = free.pop();
    if (ref !== undefined) return ref;
    return nextRef < size || grow() ? nextRef++ : -1;
  };
  const end = (side: GrantCopyEnd): CopyPointer =>
    'ref' in side
      ? { domid: side.domid, frame: side.ref, offset: side.offset }
      : { domid: DOMID_SELF, frame: side.gfn, offset: side.offset };

  return {
    map: (granter, ref, { readonly = false } = {}) =>
      domain.dying ? GNTST_bad_domain : hv.grants.mapForNative(domid, granter, ref, readonly),
    unmap(mapping: GrantMapping) {
      if (mapping instanceof NativeMapping) hv.grants.unmapForNative(domid, mapping);
    },
    copy({ source, destination, length }) {
      if (domain.dying) return GNTST_bad_domain;
      return hv.grants.copy(domid, {
        source: end(source),
        dest: end(destination),
        length,
        flags: ('ref' in source ? GNTCOPY_source_gref : 0) | ('ref' in destination ? GNTCOPY_dest_gref : 0),
      });
    },
    grantAccess(to, page, { readonly = false } = {}) {
      if (domain.dying) return -1;
      const ref = takeRef();
      if (ref >= 0) hv.grants.writeEntry(domid, ref, to, page.gfn, readonly ? GTF_readonly : 0);
      return ref;
    },
    endAccess(ref) {
      if (domain.dying) return true;
      const ended = hv.grants.endEntry(domid, ref);
      if (ended) free.push(ref);
      return ended;
    },
  };
}
