import {
  DOMID_SELF,
  GNTCOPY_dest_gref,
  GNTCOPY_source_gref,
  GNTST_bad_copy_arg,
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_general_error,
  GNTST_okay,
  GNTST_permission_denied,
} from '@xenolith/xen-abi';
import { PIN } from './active-entry.js';
import { PAGE_SIZE } from './constants.js';
import type { DomainGrants } from './domain-grants.js';
import type { Context } from './map.js';

/** One end of a copy: a grant reference or a frame number of the caller's own, as `GNTCOPY_*` says. */
export interface CopyPointer {
  /** The granter, or DOMID_SELF. */
  domid: number;
  /** Grant reference, or frame number (mfn of a PV domain, gfn of a translated one). */
  frame: number;
  /** 0 … 65535; the copy must not leave the page. */
  offset: number;
}

/** `struct gnttab_copy`. */
export interface CopyRequest {
  source: CopyPointer;
  dest: CopyPointer;
  /** Bytes. */
  length: number;
  flags: number;
}

/** A page held for the length of a copy. */
interface Claim {
  mfn: number;
  release(): void;
}

/** GNTTABOP_copy for one element (`gnttab_copy_one`). */
export function grantCopy(ctx: Context, local: DomainGrants, op: CopyRequest): number {
  const sourceIsRef = (op.flags & GNTCOPY_source_gref) !== 0;
  const destIsRef = (op.flags & GNTCOPY_dest_gref) !== 0;
  const source = copyDomain(ctx, local, op.source.domid, sourceIsRef);
  if (typeof source === 'number') return source;
  const dest = copyDomain(ctx, local, op.dest.domid, destIsRef);
  if (typeof dest === 'number') return dest;
  const from = claim(ctx, local, source, op.source.frame, sourceIsRef, true);
  if (typeof from === 'number') return from;
  const to = claim(ctx, local, dest, op.dest.frame, destIsRef, false);
  if (typeof to === 'number') {
    from.release();
    return to;
  }
  const status = copyBytes(ctx, op, from.mfn, to.mfn);
  to.release();
  from.release();
  return status;
}

function copyDomain(ctx: Context, local: DomainGrants, domid: number, isRef: boolean): DomainGrants | number {
  if (domid !== DOMID_SELF && !isRef) return GNTST_permission_denied;
  return (domid === DOMID_SELF ? local : ctx.find(domid)) ?? GNTST_bad_domain;
}

function copyBytes(ctx: Context, op: CopyRequest, from: number, to: number): number {
  const { source, dest, length } = op;
  if (source.offset + length > PAGE_SIZE || dest.offset + length > PAGE_SIZE) return GNTST_bad_copy_arg;
  const start = from * PAGE_SIZE + source.offset;
  ctx.memory.bytes.copyWithin(to * PAGE_SIZE + dest.offset, start, start + length);
  if (length > 0) ctx.memory.wrote?.(to, dest.offset, length);
  return GNTST_okay;
}

function claim(
  ctx: Context,
  local: DomainGrants,
  domain: DomainGrants,
  frame: number,
  isRef: boolean,
  readonly: boolean,
): Claim | number {
  const { memory } = ctx;
  const page = isRef ? acquire(ctx, local, domain, frame, readonly) : ownFrame(ctx, domain, frame, readonly);
  if (typeof page === 'number') return page;
  if (readonly) return page;
  if (!memory.getWritableType(page.mfn)) {
    page.release();
    return GNTST_general_error;
  }
  const release = () => {
    memory.putWritableType(page.mfn);
    page.release();
  };
  return { mfn: page.mfn, release };
}

function ownFrame(ctx: Context, domain: DomainGrants, frame: number, readonly: boolean): Claim | number {
  const mfn = ctx.memory.getFrame(domain.domid, frame, readonly);
  return mfn < 0 ? mfn : { mfn, release: () => ctx.memory.putPage(mfn) };
}

/** Pins a grant for the copy (`acquire_grant_for_copy`). */
function acquire(
  ctx: Context,
  local: DomainGrants,
  granter: DomainGrants,
  ref: number,
  readonly: boolean,
): Claim | number {
  if (ref >= granter.entries) return GNTST_bad_gntref;
  const pin = readonly ? PIN.hostRead : PIN.hostWrite;
  const shared = granter.shared(ref);
  const active = granter.activeEntry(ref);
  if (active.pin && (active.domid !== local.domid || !active.hasRoom(pin))) return GNTST_general_error;
  if (!active.pin || (!readonly && !active.hasWriters)) {
    const status = shared.setStatus(active, local.domid, readonly, false);
    if (status !== GNTST_okay) return status;
    const mfn = ctx.memory.getFrame(granter.domid, shared.frame, readonly);
    const moved = mfn >= 0 && active.pin !== 0 && active.mfn !== mfn;
    if (moved) ctx.memory.putPage(mfn);
    if (mfn < 0 || moved) {
      shared.reduceStatus(active, readonly);
      return mfn < 0 ? mfn : GNTST_general_error;
    }
    active.domid = local.domid;
    active.mfn = mfn;
  } else if (granter.dying || !ctx.memory.getPage(active.mfn, granter.domid)) {
    shared.reduceStatus(active, readonly);
    return GNTST_bad_domain;
  }
  active.add(pin);
  const { mfn } = active;
  const release = () => {
    active.remove(pin);
    shared.reduceStatus(active, readonly);
    ctx.memory.putPage(mfn);
  };
  return { mfn, release };
}
