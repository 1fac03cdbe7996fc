import {
  DOMID_INVALID,
  GNTMAP_application_map,
  GNTMAP_contains_pte,
  GNTMAP_device_map,
  GNTMAP_host_map,
  GNTMAP_readonly,
  GNTST_bad_dev_addr,
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_bad_handle,
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
  if (op.flags & GNTMAP_host_map) local.countMapping(got, (op.flags & GNTMAP_readonly) !== 0, 1);
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
  if (op.ref >= granter.entries) return GNTST_bad_gntref;
  const readonly = (op.flags & GNTMAP_readonly) !== 0;
  const shared = granter.shared(op.ref);
  const active = granter.activeEntry(op.ref);
  if (active.pin && (active.domid !== local.domid || !active.hasRoom(pins))) return GNTST_general_error;
  let referenced = false;
  if (!active.pin || (!readonly && !active.hasWriters)) {
    const status = shared.setStatus(active, local.domid, readonly, true);
    if (status !== GNTST_okay) return status;
    if (!active.pin) {
      const mfn = ctx.memory.getFrame(granter.domid, shared.frame, readonly);
      if (mfn < 0) {
        shared.reduceStatus(active, readonly);
        return mfn;
      }
      referenced = true;
      active.domid = local.domid;
      active.mfn = mfn;
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
    if (hostMappingHasType(readonly, local, granter) && !takeType()) return undo(GNTST_general_error);
    const status = ctx.mapper.map(local.domid, op.hostAddr, mfn, op.flags);
    if (status !== GNTST_okay) return undo(status);
  }
  return GNTST_okay;
}

/** A host mapping counts as a writable use unless it is a foreign one of a translated domain's page. */
const hostMappingHasType = (readonly: boolean, local: DomainGrants, granter: DomainGrants): boolean =>
  !readonly && (local === granter || !granter.translated);

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
  const readonly = (flags & GNTMAP_readonly) !== 0;
  const { mfn } = granter.activeEntry(map.ref);
  const device = op.devBusAddr !== 0n && (flags & GNTMAP_device_map) !== 0;
  if (device && op.devBusAddr !== BigInt(mfn) * BigInt(PAGE_SIZE)) return GNTST_bad_dev_addr;
  let done = 0;
  if (op.hostAddr !== 0n && flags & GNTMAP_host_map) {
    const status = ctx.mapper.unmap(local.domid, op.hostAddr, mfn, op.newAddr ?? 0n, flags);
    if (status < 0) return status;
    done |= GNTMAP_host_map;
    local.countMapping(mfn, readonly, -1);
  }
  if (device) done |= GNTMAP_device_map;
  map.flags &= ~done;
  const { ref } = map;
  if (!(map.flags & (GNTMAP_host_map | GNTMAP_device_map))) local.maptrack.free(op.handle);
  dropPins(ctx, local, granter, ref, done | (flags & GNTMAP_readonly), true);
  return GNTST_okay;
}

/**
 * Gives back what the halves of a mapping in `flags` hold.
 * @param host whether a host mapping's references are given back too (a PV domain's go with its page tables)
 */
function dropPins(
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
  if (flags & GNTMAP_device_map) {
    if (!readonly) ctx.memory.putWritableType(mfn);
    ctx.memory.putPage(mfn);
  }
  if (flags & GNTMAP_host_map && host) {
    if (hostMappingHasType(readonly, local, granter)) ctx.memory.putWritableType(mfn);
    ctx.memory.putPage(mfn);
  }
  active.remove(pins);
  granter.shared(ref).reduceStatus(active, readonly);
}

/** Drops every mapping that a dying domain holds (`gnttab_release_mappings`). */
export function releaseMappings(ctx: Context, local: DomainGrants): void {
  for (const [handle, map] of local.maptrack.live()) {
    const granter = ctx.find(map.granter);
    const { flags, ref } = map;
    local.maptrack.free(handle);
    if (!granter) continue;
    if (flags & GNTMAP_host_map) {
      local.countMapping(granter.activeEntry(ref).mfn, (flags & GNTMAP_readonly) !== 0, -1);
    }
    dropPins(ctx, local, granter, ref, flags, local.translated);
  }
}

/** The granter goes: handles of its grants lead nowhere, and none of its frames counts as mapped. */
export function forgetGranter(holder: DomainGrants, granter: DomainGrants): void {
  for (const [handle, map] of holder.maptrack.live()) {
    if (map.granter !== granter.domid) continue;
    if (map.flags & GNTMAP_host_map) {
      holder.countMapping(granter.activeEntry(map.ref).mfn, (map.flags & GNTMAP_readonly) !== 0, -1);
    }
    holder.maptrack.set(handle, { ...map, granter: DOMID_INVALID });
  }
}
