import {
  GNTMAP_application_map,
  GNTMAP_contains_pte,
  GNTMAP_device_map,
  GNTMAP_host_map,
  GNTMAP_readonly,
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_general_error,
  GNTST_no_space,
  GNTST_okay,
} from '@xenolith/xen-abi';
import { pinsOf } from './active-entry.js';
import { PAGE_SIZE } from './constants.js';
import type { DomainGrants } from './domain-grants.js';
import type { GrantMapper, GrantMemory } from './grant-memory.js';

/** What the operations share: the host's hooks and its domains. */
export interface Context {
  readonly memory: GrantMemory;
  readonly mapper: GrantMapper;
  find(domid: number): DomainGrants | undefined;
}

/** `struct gnttab_map_grant_ref`, what the guest gives. */
export interface MapRequest {
  /** Linear address, or with `GNTMAP_contains_pte` the machine address of a PTE, or a gfn's address. */
  hostAddr: bigint;
  /** `GNTMAP_*`. */
  flags: number;
  ref: number;
  /** The granter. */
  dom: number;
}

/** What it gets back: `handle` and `devBusAddr` count only with `GNTST_okay`. */
export interface MapResult {
  status: number;
  handle: number;
  /** The frame's machine address. */
  devBusAddr: bigint;
}

const failed = (status: number): MapResult => ({ status, handle: 0, devBusAddr: 0n });

/** GNTTABOP_map_grant_ref for one element (`map_grant_ref` of xen/common/grant_table.c). */
export function mapGrantRef(ctx: Context, local: DomainGrants, vcpu: number, op: MapRequest): MapResult {
  const pins = pinsOf(op.flags);
  if (pins === 0) return failed(GNTST_bad_gntref);
  const pvOnly = GNTMAP_device_map | GNTMAP_application_map | GNTMAP_contains_pte;
  if (local.translated && op.flags & pvOnly) return failed(GNTST_general_error);
  const granter = ctx.find(op.dom);
  if (!granter) return failed(GNTST_bad_domain);
  const handle = local.maptrack.allocate(vcpu);
  if (handle < 0) return failed(GNTST_no_space);
  const got = pinAndMap(ctx, local, granter, op, pins);
  if (got < 0) {
    local.maptrack.free(handle);
    return failed(got);
  }
  local.maptrack.set(handle, { granter: op.dom, ref: op.ref, flags: op.flags });
  local.countUse(op.dom, got, op.flags, 1);
  return { status: GNTST_okay, handle, devBusAddr: BigInt(got) * BigInt(PAGE_SIZE) };
}

/** @returns the mfn with the mapping's references and pins taken, or a negative GNTST with nothing taken */
function pinAndMap(
  ctx: Context,
  local: DomainGrants,
  granter: DomainGrants,
  op: MapRequest,
  pins: number,
): number {
  const { ref } = op;
  if (ref >= granter.entries) return GNTST_bad_gntref;
  const readonly = (op.flags & GNTMAP_readonly) !== 0;
  const shared = granter.shared(ref);
  const active = granter.activeEntry(ref);
  const isOthers = active.domid !== local.domid || active.granted.isSubPage;
  if (active.pin && (isOthers || !active.hasRoom(pins))) return GNTST_general_error;
  let referenced = false;
  if (!active.pin || (!readonly && !active.hasWriters)) {
    const entry = shared.copy();
    const status = shared.setStatus(entry, active, local.domid, readonly, true);
    if (status !== GNTST_okay) return status;
    if (!active.pin) {
      const mfn = ctx.memory.getFrame(granter.domid, entry.frame, readonly);
      if (mfn < 0) {
        shared.reduceStatus(active, readonly);
        return mfn;
      }
      referenced = true;
      active.domid = local.domid;
      active.granted = {
        mfn,
        start: 0,
        length: PAGE_SIZE,
        isSubPage: false,
        fromDomid: granter.domid,
        fromRef: ref,
      };
    }
  }
  active.add(pins);
  const status = takeReferences(ctx, local, granter, op, active.mfn, referenced);
  if (status === GNTST_okay) return active.mfn;
  active.remove(pins);
  shared.reduceStatus(active, readonly);
  return status;
}

/**
 * A reference for each of host and device mapping, a writable-type use for each that writes, and the mapping itself.
 * Undoes all of it on failure, with the reference that `getFrame` took.
 */
function takeReferences(
  ctx: Context,
  local: DomainGrants,
  granter: DomainGrants,
  op: MapRequest,
  mfn: number,
  referenced: boolean,
): number {
  const { memory } = ctx;
  let refs = referenced ? 1 : 0;
  let types = 0;
  const undo = (status: number): number => {
    for (; types > 0; types--) memory.putWritableType(mfn);
    for (; refs > 0; refs--) memory.putPage(mfn);
    return status;
  };
  const takeRef = () => memory.getPage(mfn, granter.domid) && ++refs > 0;
  const takeType = () => memory.getWritableType(mfn) && ++types > 0;
  const readonly = (op.flags & GNTMAP_readonly) !== 0;
  if (!referenced && !takeRef()) return undo(GNTST_general_error);
  if (op.flags & GNTMAP_device_map && !readonly && !takeType()) return undo(GNTST_general_error);
  if (op.flags & GNTMAP_host_map) {
    if (op.flags & GNTMAP_device_map && !takeRef()) return undo(GNTST_general_error);
    if (!readonly && !takeType()) return undo(GNTST_general_error);
    const status = ctx.mapper.map(local.domid, op.hostAddr, mfn, op.flags);
    if (status !== GNTST_okay) return undo(status);
  }
  return GNTST_okay;
}
