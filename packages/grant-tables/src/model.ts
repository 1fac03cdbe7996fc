import {
  DOMID_SELF,
  GNTCOPY_dest_gref,
  GNTCOPY_source_gref,
  GNTMAP_device_map,
  GNTMAP_host_map,
  GNTMAP_readonly,
  GNTST_bad_copy_arg,
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_bad_page,
  GNTST_general_error,
  GNTST_okay,
  GNTST_permission_denied,
  GTF_permit_access,
  GTF_readonly,
  GTF_sub_page,
  GTF_transitive,
  GTF_type_mask,
} from '@xenolith/xen-abi';
import type { CopyPointer, CopyRequest } from './copy.js';
import type { MapRequest } from './map.js';
import type { testHost } from './testing.js';

/** A mapping as the model knows it. */
export interface Mapping {
  holder: number;
  granter: number;
  ref: number;
  mfn: number;
  flags: number;
  hostAddr: bigint;
  handle: number;
}

/** What an entry says, as the domain that wrote it means it. */
export interface Meaning {
  flags: number;
  to: number;
  frame: number;
  offset?: number;
  length?: number;
  through?: number;
  throughRef?: number;
}
type Part = { mfn: number; start: number; length: number };

const isPageTable = (mfn: number): boolean => mfn % 16 === 15;

/** For tests: grants, said simply: what is mapped is a list, and whatever follows from it is counted anew each time. */
export class Model {
  readonly mappings: Mapping[] = [];
  /** By domain and reference. */
  readonly entries = new Map<string, Meaning>();

  constructor(private readonly host: ReturnType<typeof testHost>) {}

  private version = (domid: number): number => this.host.grants.getVersion(domid, domid);
  private exists = (domid: number): boolean => domid >= 0 && domid <= 3;
  private uses = (granter: number, ref: number): Mapping[] =>
    this.mappings.filter((m) => m.granter === granter && m.ref === ref);

  entry(domid: number, ref: number): Meaning {
    return this.entries.get(`${domid}:${ref}`) ?? { flags: 0, to: 0, frame: 0 };
  }

  forget(domid: number): void {
    for (const key of [...this.entries.keys()]) if (key.startsWith(`${domid}:`)) this.entries.delete(key);
  }

  /** The status of a map, and the frame that it would map. */
  map(holder: number, { dom, ref, flags, hostAddr }: MapRequest): { status: number; mfn: number } {
    const fail = (status: number) => ({ status, mfn: 0 });
    const write = !(flags & GNTMAP_readonly);
    if (!this.exists(dom)) return fail(GNTST_bad_domain);
    if (ref >= 512 / this.version(dom)) return fail(GNTST_bad_gntref);
    const entry = this.entry(dom, ref);
    const others = this.uses(dom, ref);
    if (others.some((m) => m.holder !== holder)) return fail(GNTST_general_error);
    if (others.length === 0) {
      const isPage = (entry.flags & (GTF_type_mask | GTF_sub_page)) === GTF_permit_access;
      if (!isPage || entry.to !== holder) return fail(GNTST_general_error);
    }
    const isFirstWriter = write && others.every((m) => m.flags & GNTMAP_readonly);
    if (isFirstWriter && entry.flags & GTF_readonly) return fail(GNTST_general_error);
    const mfn = others[0]?.mfn ?? entry.frame;
    if (this.host.memory.owner(mfn) !== dom) return fail(GNTST_bad_page);
    if ((write && isPageTable(mfn)) || (flags & GNTMAP_host_map && hostAddr === 0xbadn))
      return fail(GNTST_general_error);
    return { status: GNTST_okay, mfn };
  }

  /** The status of a copy, if the grants that it uses are not mapped (uses in progress make that another story). */
  copy(holder: number, { source, dest, length, flags }: CopyRequest): number {
    const domains = [
      [source, flags & GNTCOPY_source_gref],
      [dest, flags & GNTCOPY_dest_gref],
    ] as const;
    for (const [{ domid }, isRef] of domains) {
      if (domid !== DOMID_SELF && !isRef) return GNTST_permission_denied;
      if (domid !== DOMID_SELF && !this.exists(domid)) return GNTST_bad_domain;
    }
    const from = this.end(holder, source, (flags & GNTCOPY_source_gref) !== 0, false);
    if (typeof from === 'number') return from;
    const to = this.end(holder, dest, (flags & GNTCOPY_dest_gref) !== 0, true);
    if (typeof to === 'number') return to;
    if (isPageTable(to.mfn)) return GNTST_general_error;
    if (source.offset + length > 4096 || dest.offset + length > 4096) return GNTST_bad_copy_arg;
    const isOutside = (part: Part, offset: number) =>
      offset < part.start || offset + length > part.start + part.length;
    return isOutside(from, source.offset) || isOutside(to, dest.offset) ? GNTST_general_error : GNTST_okay;
  }

  private end(holder: number, { domid, frame }: CopyPointer, isRef: boolean, write: boolean): Part | number {
    const from = domid === DOMID_SELF ? holder : domid;
    if (isRef) return this.granted(holder, from, frame, write, true);
    const isOwn = this.host.memory.owner(frame) === holder;
    return isOwn ? { mfn: frame, start: 0, length: 4096 } : GNTST_bad_page;
  }

  private granted(
    user: number,
    granter: number,
    ref: number,
    write: boolean,
    mayPass: boolean,
  ): Part | number {
    const version = this.version(granter);
    if (ref >= 512 / version) return GNTST_bad_gntref;
    const entry = this.entry(granter, ref);
    const type = entry.flags & GTF_type_mask;
    const isPassedOn = version === 2 && type === GTF_transitive;
    if ((type !== GTF_permit_access && !isPassedOn) || entry.to !== user) return GNTST_general_error;
    if (write && entry.flags & GTF_readonly) return GNTST_general_error;
    if (isPassedOn) {
      const { through = 0, throughRef = 0 } = entry;
      if (!mayPass || through === granter || !this.exists(through)) return GNTST_general_error;
      return this.granted(granter, through, throughRef, write, false);
    }
    if (this.host.memory.owner(entry.frame) !== granter) return GNTST_bad_page;
    const isPart = version === 2 && entry.flags & GTF_sub_page;
    return { mfn: entry.frame, start: isPart ? entry.offset! : 0, length: isPart ? entry.length! : 4096 };
  }

  /** References and writable uses that all mappings hold, by frame. */
  references(): { refs: number[]; types: number[] } {
    const refs = this.host.memory.refs.map(() => 0);
    const types = [...refs];
    for (const { mfn, flags } of this.mappings) {
      for (const half of [GNTMAP_host_map, GNTMAP_device_map]) {
        if (!(flags & half)) continue;
        refs[mfn]!++;
        if (!(flags & GNTMAP_readonly)) types[mfn]!++;
      }
    }
    return { refs, types };
  }

  isMapped(holder: number, mfn: number, write: boolean): boolean {
    const isSuch = (m: Mapping) => m.holder === holder && m.mfn === mfn && m.flags & GNTMAP_host_map;
    return this.mappings.some((m) => isSuch(m) && (!write || !(m.flags & GNTMAP_readonly)));
  }
}
