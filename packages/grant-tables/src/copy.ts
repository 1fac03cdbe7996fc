import {
  DOMID_SELF,
  GNTCOPY_dest_gref,
  GNTCOPY_source_gref,
  GNTST_bad_copy_arg,
  GNTST_bad_domain,
  GNTST_general_error,
  GNTST_okay,
  GNTST_permission_denied,
} from '@xenolith/xen-abi';
import { acquireForCopy, type Claim } from './acquire.js';
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

/**
 * GNTTABOP_copy for one element (`gnttab_copy_one`). Each element is checked for itself: nothing that was allowed for one
 * is taken over to the next.
 */
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
  const status = copyBytes(ctx, op, from, to);
  to.release();
  from.release();
  return status;
}

function copyDomain(ctx: Context, local: DomainGrants, domid: number, isRef: boolean): DomainGrants | number {
  if (domid !== DOMID_SELF && !isRef) return GNTST_permission_denied;
  return (domid === DOMID_SELF ? local : ctx.find(domid)) ?? GNTST_bad_domain;
}

function copyBytes(ctx: Context, op: CopyRequest, from: Claim, to: Claim): number {
  const { source, dest, length } = op;
  if (source.offset + length > PAGE_SIZE || dest.offset + length > PAGE_SIZE) return GNTST_bad_copy_arg;
  const isInside = ({ start, length: size }: Claim, offset: number): boolean =>
    offset >= start && offset + length <= start + size;
  if (!isInside(from, source.offset) || !isInside(to, dest.offset)) return GNTST_general_error;
  const first = from.mfn * PAGE_SIZE + source.offset;
  ctx.memory.bytes.copyWithin(to.mfn * PAGE_SIZE + dest.offset, first, first + length);
  if (length > 0) ctx.memory.wrote?.(to.mfn, dest.offset, length);
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
  const page = isRef
    ? acquireForCopy(ctx, local.domid, domain, frame, readonly)
    : ownFrame(ctx, domain, frame, readonly);
  if (typeof page === 'number' || readonly) return page;
  if (!memory.getWritableType(page.mfn)) {
    page.release();
    return GNTST_general_error;
  }
  return {
    ...page,
    release() {
      memory.putWritableType(page.mfn);
      page.release();
    },
  };
}

function ownFrame(ctx: Context, domain: DomainGrants, frame: number, readonly: boolean): Claim | number {
  const mfn = ctx.memory.getFrame(domain.domid, frame, readonly);
  return mfn < 0 ? mfn : { mfn, start: 0, length: PAGE_SIZE, release: () => ctx.memory.putPage(mfn) };
}
