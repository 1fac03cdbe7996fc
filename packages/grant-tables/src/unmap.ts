import {
  DOMID_INVALID,
  GNTMAP_device_map,
  GNTMAP_host_map,
  GNTMAP_readonly,
  GNTST_bad_dev_addr,
  GNTST_bad_handle,
  GNTST_general_error,
  GNTST_okay,
} from '@xenolith/xen-abi';
import { pinsOf } from './active-entry.js';
import { PAGE_SIZE } from './constants.js';
import type { DomainGrants } from './domain-grants.js';
import type { Context } from './map.js';

/** `struct gnttab_unmap_grant_ref`; with `newAddr` ≠ 0 `struct gnttab_unmap_and_replace`. */
export interface UnmapRequest {
  hostAddr: bigint;
  devBusAddr: bigint;
  handle: number;
  newAddr?: bigint;
}

/**
 * GNTTABOP_unmap_grant_ref and GNTTABOP_unmap_and_replace for one element (`unmap_common` and its completion). A
 * zero address leaves that half of the mapping, and the handle, in place.
 */
export function unmapGrantRef(ctx: Context, local: DomainGrants, op: UnmapRequest): number {
  const map = local.maptrack.get(op.handle);
  if (!map) return GNTST_bad_handle;
  const granter = ctx.find(map.granter);
  if (!granter) {
    ctx.mapper.crash(local.domid, `unmapped a grant of domain ${map.granter}, which is gone`);
    return GNTST_general_error;
  }
  const { flags } = map;
  const { mfn } = granter.activeEntry(map.ref);
  const device = op.devBusAddr !== 0n && (flags & GNTMAP_device_map) !== 0;
  if (device && op.devBusAddr !== BigInt(mfn) * BigInt(PAGE_SIZE)) return GNTST_bad_dev_addr;
  let done = 0;
  if (op.hostAddr !== 0n && flags & GNTMAP_host_map) {
    const status = ctx.mapper.unmap(local.domid, op.hostAddr, mfn, op.newAddr ?? 0n, flags);
    if (status < 0) return status;
    done |= GNTMAP_host_map;
  }
  if (device) done |= GNTMAP_device_map;
  map.flags &= ~done;
  const { ref } = map;
  if (!(map.flags & (GNTMAP_host_map | GNTMAP_device_map))) local.maptrack.free(op.handle);
  drop(ctx, local, granter, ref, done | (flags & GNTMAP_readonly), true);
  return GNTST_okay;
}

/**
 * Gives back what the halves of a mapping in `flags` hold.
 * @param host whether a host mapping's references are given back too (a PV domain's go with its page tables)
 */
function drop(
  ctx: Context,
  local: DomainGrants,
  granter: DomainGrants,
  ref: number,
  flags: number,
  host: boolean,
): void {
  const pins = pinsOf(flags);
  if (pins === 0) return;
  const active = granter.activeEntry(ref);
  const readonly = (flags & GNTMAP_readonly) !== 0;
  const { mfn } = active;
  local.countUse(granter.domid, mfn, flags, -1);
  if (flags & GNTMAP_device_map) {
    if (!readonly) ctx.memory.putWritableType(mfn);
    ctx.memory.putPage(mfn);
  }
  if (flags & GNTMAP_host_map && host) {
    if (!readonly) ctx.memory.putWritableType(mfn);
    ctx.memory.putPage(mfn);
  }
  active.remove(pins);
  granter.shared(ref).reduceStatus(active, readonly);
}

/** Drops every mapping that a dying domain holds (`gnttab_release_mappings`). */
export function releaseMappings(ctx: Context, local: DomainGrants): void {
  for (const [handle, { granter: domid, flags, ref }] of local.maptrack.live()) {
    const granter = ctx.find(domid);
    local.maptrack.free(handle);
    if (granter) drop(ctx, local, granter, ref, flags, local.translated);
  }
}

/** The granter goes: handles of its grants lead nowhere, and none of its frames counts as mapped. */
export function forgetGranter(holder: DomainGrants, granter: DomainGrants): void {
  for (const [handle, map] of holder.maptrack.live()) {
    if (map.granter !== granter.domid) continue;
    holder.countUse(granter.domid, granter.activeEntry(map.ref).mfn, map.flags, -1);
    holder.maptrack.set(handle, { ...map, granter: DOMID_INVALID });
  }
}
