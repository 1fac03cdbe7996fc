import {
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_eagain,
  GNTST_general_error,
  GNTST_okay,
  GTF_sub_page,
  GTF_transitive,
  GTF_type_mask,
} from '@xenolith/xen-abi';
import { type ActiveEntry, type Granted, PIN } from './active-entry.js';
import { PAGE_SIZE } from './constants.js';
import type { DomainGrants } from './domain-grants.js';
import type { Context } from './map.js';
import type { EntryCopy } from './shared-entry.js';

/** A page, or a part of one, held for the length of a copy. */
export interface Claim {
  readonly mfn: number;
  readonly start: number;
  readonly length: number;
  release(): void;
}

/** What a grant leads to, with one reference of the page taken. */
interface Found {
  granted: Granted;
  /** Gives the reference back, and the pins of the grant that a transitive one leads to. */
  release(): void;
}

/** A sub-page grant's offset has 15 bits where Xen keeps it (`struct active_grant_entry`). */
const START_MASK = 0x7fff;

/** Pins a grant for a copy by `user` (`acquire_grant_for_copy`). @returns a claim, or a negative GNTST */
export function acquireForCopy(
  ctx: Context,
  user: number,
  granter: DomainGrants,
  ref: number,
  readonly: boolean,
  allowTransitive = true,
): Claim | number {
  if (ref >= granter.entries) return GNTST_bad_gntref;
  const pin = readonly ? PIN.hostRead : PIN.hostWrite;
  const shared = granter.shared(ref);
  const active = granter.activeEntry(ref);
  if (active.pin && (active.domid !== user || !active.hasRoom(pin))) return GNTST_general_error;
  const entry = shared.copy();
  const isNew = !active.pin || (!readonly && !active.hasWriters);
  if (isNew) {
    const status = shared.setStatus(entry, active, user, readonly, false);
    if (status !== GNTST_okay) return status;
  }
  let found: Found | number;
  if (shared.version === 2 && (entry.flags & GTF_type_mask) === GTF_transitive)
    found = allowTransitive ? findThrough(ctx, granter, entry, readonly) : GNTST_general_error;
  else if (isNew) found = findOwn(ctx, granter, ref, entry, shared.version === 2, readonly);
  else found = findPinned(ctx, granter, active);
  if (typeof found === 'object' && active.pin && !active.agreesWith(found.granted)) {
    found.release();
    // Xen would start a copy of a mapped grant that has become transitive again and again.
    found = found.granted.fromDomid === granter.domid ? GNTST_general_error : GNTST_eagain;
  }
  if (typeof found === 'number') {
    shared.reduceStatus(active, readonly);
    return found;
  }
  if (!active.pin) {
    active.domid = user;
    active.granted = found.granted;
  }
  active.add(pin);
  const { release } = found;
  const { mfn, start, length } = active.granted;
  return {
    mfn,
    start,
    length,
    release() {
      active.remove(pin);
      shared.reduceStatus(active, readonly);
      release();
    },
  };
}

/** The granter's own page, or the part of it that the entry gives. */
function findOwn(
  ctx: Context,
  granter: DomainGrants,
  ref: number,
  entry: EntryCopy,
  hasParts: boolean,
  readonly: boolean,
): Found | number {
  const mfn = ctx.memory.getFrame(granter.domid, entry.frame, readonly);
  if (mfn < 0) return mfn;
  const isSubPage = hasParts && (entry.flags & GTF_sub_page) !== 0;
  const [start, length] = isSubPage ? [entry.pageOffset & START_MASK, entry.length] : [0, PAGE_SIZE];
  return {
    granted: { mfn, start, length, isSubPage, fromDomid: granter.domid, fromRef: ref },
    release: () => ctx.memory.putPage(mfn),
  };
}

/** What another domain granted to the granter, who passes it on: one step, never two. */
function findThrough(
  ctx: Context,
  granter: DomainGrants,
  entry: EntryCopy,
  readonly: boolean,
): Found | number {
  const { throughDomid, throughRef } = entry;
  const next = throughDomid === granter.domid ? undefined : ctx.find(throughDomid);
  if (!next) return GNTST_general_error;
  const claim = acquireForCopy(ctx, granter.domid, next, throughRef, readonly, false);
  if (typeof claim === 'number') return claim;
  const { mfn, start, length, release } = claim;
  return {
    granted: { mfn, start, length, isSubPage: true, fromDomid: throughDomid, fromRef: throughRef },
    release,
  };
}

/** What is pinned already: the entry is not asked again. */
function findPinned(ctx: Context, granter: DomainGrants, active: ActiveEntry): Found | number {
  const { granted } = active;
  if (granter.dying || !ctx.memory.getPage(granted.mfn, granter.domid)) return GNTST_bad_domain;
  return { granted, release: () => ctx.memory.putPage(granted.mfn) };
}
