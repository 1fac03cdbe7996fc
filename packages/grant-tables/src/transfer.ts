import {
  GNTST_bad_domain,
  GNTST_general_error,
  GNTST_okay,
  GTF_accept_transfer,
  GTF_transfer_committed,
  GTF_transfer_completed,
} from '@xenolith/xen-abi';
import type { DomainGrants } from './domain-grants.js';
import type { Context } from './map.js';

/** `struct gnttab_transfer`. */
export interface TransferRequest {
  /** Frame of the caller's that it gives away: mfn, up to 2^64. */
  frame: number;
  /** Who gets it, and the entry by which it accepts one. */
  domid: number;
  ref: number;
}

/**
 * GNTTABOP_transfer for one element (`gnttab_transfer`). Once it was the caller's to give, the frame is gone for the
 * caller, whatever else is wrong.
 */
export function transferFrame(ctx: Context, local: DomainGrants, op: TransferRequest): number {
  const { memory } = ctx;
  const mfn = memory.stealFrame(local.domid, op.frame);
  if (mfn < 0) return mfn;
  const taker = ctx.find(op.domid);
  const status = taker ? accept(ctx, local, taker, op.ref, mfn) : GNTST_bad_domain;
  if (status !== GNTST_okay) memory.discardFrame(mfn);
  return status;
}

function accept(ctx: Context, local: DomainGrants, taker: DomainGrants, ref: number, mfn: number): number {
  if (taker.dying || !ctx.memory.takesFrame(taker.domid) || ref >= taker.entries) return GNTST_general_error;
  const shared = taker.shared(ref);
  const { flags, domid, frame } = shared.copy();
  if (flags !== GTF_accept_transfer || domid !== local.domid) return GNTST_general_error;
  shared.flags = flags | GTF_transfer_committed;
  ctx.memory.giveFrame(mfn, taker.domid, frame);
  if (!taker.translated) shared.frame = mfn;
  shared.flags |= GTF_transfer_completed;
  return GNTST_okay;
}
