import {
  E820Entry,
  EACCES,
  EDOM,
  EFAULT,
  EINVAL,
  ENOSYS,
  EOPNOTSUPP,
  EPERM,
  ESRCH,
  MACH2PHYS_VIRT_END,
  MACH2PHYS_VIRT_START,
  XENMAPSPACE_gmfn_foreign,
  XENMAPSPACE_gmfn_range,
  XENMEM_claim_pages,
  XENMEM_current_reservation,
  XENMEM_exchange,
  XENMEM_get_vnumainfo,
  XENMEM_maximum_gpfn,
  XENMEM_maximum_ram_page,
  XENMEM_maximum_reservation,
  XENMEM_RDM_ALL,
  XENMEM_remove_from_physmap,
  XenAddToPhysmap,
  XenAddToPhysmapBatch,
  XenForeignMemoryMap,
  XenMachphysMapping,
  XenMachphysMfnList,
  XenMemAccessOp,
  XenMemAcquireResource,
  XenMemoryDomain,
  XenMemoryExchange,
  XenMemoryMap,
  XenMemoryReservation,
  XenPodTarget,
  XenRemoveFromPhysmap,
  XenReservedDeviceMemoryMap,
  XenVnumaTopologyInfo,
} from '@xenolith/xen-abi';
import {
  type Accessed,
  Operations,
  plain,
  preemptible,
  refused,
  refusedAfter,
  taking,
  updating,
} from '../operations.js';
import { exchange } from './exchange.js';
import { isGuestRange, writeU32, writeU64 } from './guest-array.js';
import type { GuestAccess, PvVcpu } from './interfaces.js';
import type { PvMemory } from './pv-memory.js';
import { changeReservation, EXTENT_SHIFT } from './reservation.js';

/** Bytes of an E820 entry: u64 address, u64 size, u32 type, packed. */
const E820_SIZE = E820Entry.size;
/** The M2P is listed in pieces of 2 MiB: 512 frames. */
const M2P_EXTENT = 512;

/** Everything a handler of one sub-operation may need. */
interface MemoryCall {
  memory: PvMemory;
  vcpu: PvVcpu;
  guest: GuestAccess;
  op: number;
  start: number;
  arg: bigint;
}

type Handler = (call: MemoryCall) => number;

/** The argument, copied: a view of `size` bytes or undefined (EFAULT). */
function argument({ guest, arg }: MemoryCall, size: number): DataView | undefined {
  const bytes = guest.copyFrom(arg, size);
  return bytes && new DataView(bytes.buffer, bytes.byteOffset, size);
}

/** 0 for the caller's own domain, −ESRCH, or −EPERM for another's. */
function mayUse({ memory, vcpu }: MemoryCall, domid: number): number {
  if (memory.ownDomain(vcpu, domid) !== undefined) return 0;
  return memory.domains.exists(domid) ? -EPERM : -ESRCH;
}

/** A PV domain's frames are its own affair: Xen has no physmap to change. */
function noPhysmap(call: MemoryCall, domid: number): number {
  const rc = mayUse(call, domid);
  return rc === -ESRCH ? rc : -EACCES;
}

const reservation: Handler = ({ memory, vcpu, guest, op, start, arg }) =>
  changeReservation(memory, vcpu, guest, op, start, arg);

const query: Handler = (call) => {
  const view = argument(call, XenMemoryDomain.size);
  if (view === undefined) return -EFAULT;
  const rc = mayUse(call, XenMemoryDomain.at(view).domid);
  if (rc !== 0) return rc;
  const { domain } = call.vcpu;
  if (call.op === XENMEM_current_reservation) return domain.totPages;
  if (call.op === XENMEM_maximum_reservation) return domain.maxPages;
  return (domain.maxPfn || 1) - 1;
};

const memoryMap: Handler = (call) => {
  const { guest, vcpu, arg } = call;
  const view = argument(call, XenMemoryMap.size);
  if (view === undefined) return -EFAULT;
  const ranges = vcpu.domain.memoryMap;
  if (ranges.length === 0) return -ENOSYS;
  const map = XenMemoryMap.at(view);
  const count = Math.min(map.nr_entries, ranges.length);
  const bytes = new Uint8Array(count * E820_SIZE);
  const out = new DataView(bytes.buffer);
  for (let i = 0; i < count; i++) {
    out.setBigUint64(i * E820_SIZE, ranges[i].address, true);
    out.setBigUint64(i * E820_SIZE + 8, ranges[i].size, true);
    out.setUint32(i * E820_SIZE + 16, ranges[i].type, true);
  }
  const isWritten = guest.copyTo(map.buffer, bytes);
  return isWritten && writeU32(guest, arg + BigInt(XenMemoryMap.offset.nr_entries), count) ? 0 : -EFAULT;
};

const machphysMapping: Handler = ({ guest, arg }) => {
  const out = XenMachphysMapping.create();
  out.v_start = MACH2PHYS_VIRT_START;
  out.v_end = MACH2PHYS_VIRT_END;
  // Only a hardware domain is told the machine's true last frame.
  out.max_mfn = (MACH2PHYS_VIRT_END - MACH2PHYS_VIRT_START) / 8n - 1n;
  return guest.copyTo(arg, bytesOf(out, XenMachphysMapping.size)) ? 0 : -EFAULT;
};

const bytesOf = (place: { $view: DataView; $base: number }, size: number): Uint8Array =>
  new Uint8Array(place.$view.buffer, place.$view.byteOffset + place.$base, size);

const machphysMfnList: Handler = (call) => {
  const { memory, guest, arg } = call;
  const view = argument(call, XenMachphysMfnList.size);
  if (view === undefined) return -EFAULT;
  const list = XenMachphysMfnList.at(view);
  const extents = Math.ceil(memory.m2p.storage.length / M2P_EXTENT);
  const count = Math.min(list.max_extents, extents);
  for (let i = 0; i < count; i++) {
    if (!writeU64(guest, list.extent_start + BigInt(i * 8), memory.m2p.storage[i * M2P_EXTENT]))
      return -EFAULT;
  }
  return writeU32(guest, arg + BigInt(XenMachphysMfnList.offset.nr_extents), count) ? 0 : -EFAULT;
};

const addToPhysmap: Handler = (call) => {
  if (call.start > 0xffff) return -EDOM;
  const view = argument(call, XenAddToPhysmap.size);
  if (view === undefined) return -EFAULT;
  const wanted = XenAddToPhysmap.at(view);
  return wanted.space === XENMAPSPACE_gmfn_foreign ? -ENOSYS : noPhysmap(call, wanted.domid);
};

const addToPhysmapBatch: Handler = (call) => {
  if (call.start > 0xffff) return -EDOM;
  const view = argument(call, XenAddToPhysmapBatch.size);
  if (view === undefined) return -EFAULT;
  const wanted = XenAddToPhysmapBatch.at(view);
  return wanted.space === XENMAPSPACE_gmfn_range ? -EOPNOTSUPP : noPhysmap(call, wanted.domid);
};

const removeFromPhysmap: Handler = (call) => {
  const view = argument(call, XenRemoveFromPhysmap.size);
  return view === undefined ? -EFAULT : noPhysmap(call, XenRemoveFromPhysmap.at(view).domid);
};

/** 0 for another domain by its number, −EPERM for the caller's own, −ESRCH (DOMID_SELF too). */
function isRemote({ memory, vcpu }: MemoryCall, domid: number): number {
  if (domid === vcpu.domain.domid) return -EPERM;
  return memory.domains.exists(domid) ? 0 : -ESRCH;
}

/** E820 entries that a domain may have (Xen's E820MAX). */
const E820_MAX = 1024;

function setMemoryMap(call: MemoryCall, request: Accessed<(typeof XenForeignMemoryMap)['fields']>): number {
  const { nr_entries: count, buffer } = request.map;
  if (count > E820_MAX) return -EINVAL;
  const rc = mayUse(call, request.domid);
  if (rc !== 0) return rc;
  const bytes = call.guest.copyFrom(buffer, count * E820_SIZE);
  if (bytes === undefined) return -EFAULT;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  call.vcpu.domain.memoryMap = Array.from({ length: count }, (_, i) => {
    const { addr, size, type } = E820Entry.at(view, i * E820_SIZE);
    return { address: addr, size, type };
  });
  return 0;
}

const podTarget: Handler = (call) => {
  const view = argument(call, XenPodTarget.size);
  if (view === undefined) return -EFAULT;
  const { domid } = XenPodTarget.at(view);
  const { memory, vcpu } = call;
  const isThere = memory.ownDomain(vcpu, domid) !== undefined || memory.domains.exists(domid);
  return isThere ? -EINVAL : -ESRCH;
};

const claimPages: Handler = (call) => {
  const view = argument(call, XenMemoryReservation.size);
  if (view === undefined) return -EFAULT;
  const { extent_start, extent_order, mem_flags, domid } = XenMemoryReservation.at(view);
  if (extent_start !== 0n || extent_order !== 0 || mem_flags !== 0) return -EINVAL;
  return call.memory.domains.exists(domid) ? -EPERM : -EINVAL;
};

const vnumaInfo: Handler = (call) => {
  const view = argument(call, XenVnumaTopologyInfo.size);
  if (view === undefined) return -EFAULT;
  const { pad, domid } = XenVnumaTopologyInfo.at(view);
  if (pad !== 0) return -EINVAL;
  const rc = mayUse(call, domid);
  return rc !== 0 ? rc : -EOPNOTSUPP;
};

const acquireResource: Handler = (call) => {
  const view = argument(call, XenMemAcquireResource.size);
  if (view === undefined) return -EFAULT;
  const { pad, domid, frame, nr_frames: count } = XenMemAcquireResource.at(view);
  if (pad !== 0 || (frame + BigInt(count)) >> 32n !== 0n) return -EINVAL;
  // One's own resources are not mapped this way, others' only by their device model.
  const rc = isRemote(call, domid);
  return rc === 0 ? -EPERM : rc;
};

/** memory_op of an unprivileged PV domain. */
export const MEMORY_OPERATIONS = new Operations<MemoryCall, 'XENMEM_'>('XENMEM_', {
  increase_reservation: preemptible(plain(reservation, XenMemoryReservation)),
  decrease_reservation: preemptible(plain(reservation, XenMemoryReservation)),
  populate_physmap: preemptible(plain(reservation, XenMemoryReservation)),
  exchange: preemptible(
    plain(({ memory, vcpu, guest, arg }) => exchange(memory, vcpu, guest, arg), XenMemoryExchange),
  ),
  maximum_ram_page: plain(({ memory }) => memory.machine.frames),
  current_reservation: plain(query, XenMemoryDomain),
  maximum_reservation: plain(query, XenMemoryDomain),
  maximum_gpfn: plain(query, XenMemoryDomain),
  memory_map: plain(memoryMap, XenMemoryMap),
  machine_memory_map: refused(EPERM, 'domU'),
  machphys_mapping: plain(machphysMapping),
  machphys_mfn_list: plain(machphysMfnList, XenMachphysMfnList),
  add_to_physmap: refusedAfter(EACCES, 'domU', plain(addToPhysmap, XenAddToPhysmap)),
  add_to_physmap_batch: refusedAfter(EACCES, 'domU', plain(addToPhysmapBatch, XenAddToPhysmapBatch)),
  remove_from_physmap: refusedAfter(EACCES, 'domU', plain(removeFromPhysmap, XenRemoveFromPhysmap)),
  set_pod_target: refusedAfter(EINVAL, 'domU', plain(podTarget, XenPodTarget)),
  get_pod_target: refusedAfter(EINVAL, 'domU', plain(podTarget, XenPodTarget)),
  get_sharing_freed_pages: plain(() => 0),
  get_sharing_shared_pages: plain(() => 0),
  claim_pages: refusedAfter(EPERM, 'domU', plain(claimPages, XenMemoryReservation)),
  get_vnumainfo: refusedAfter(EOPNOTSUPP, 'domU', plain(vnumaInfo, XenVnumaTopologyInfo)),
  acquire_resource: refusedAfter(EPERM, 'domU', plain(acquireResource, XenMemAcquireResource)),
  set_memory_map: taking(XenForeignMemoryMap, setMemoryMap),
  machphys_compat_mfn_list: refused(EOPNOTSUPP, 'everybody'),
  reserved_device_memory_map: updating(XenReservedDeviceMemoryMap, (_, map) => {
    if (!isGuestRange(map.buffer)) return -EFAULT;
    if ((map.flags & ~XENMEM_RDM_ALL) !== 0) return -EINVAL;
    map.nr_entries = 0;
    return 0;
  }),
  // Access rights of single pages are a matter of HVM domains.
  access_op: refusedAfter(
    EINVAL,
    'domU',
    taking(XenMemAccessOp, (call, { domid }) =>
      isRemote(call, domid) === 0 ? -EINVAL : isRemote(call, domid),
    ),
  ),
});

/** Sub-operations that know nothing of a start extent. */
const WITHOUT_EXTENTS: ReadonlySet<number> = new Set([
  XENMEM_exchange,
  XENMEM_maximum_ram_page,
  XENMEM_current_reservation,
  XENMEM_maximum_reservation,
  XENMEM_maximum_gpfn,
  XENMEM_remove_from_physmap,
  XENMEM_claim_pages,
  XENMEM_get_vnumainfo,
]);

/**
 * `memory_op` of an unprivileged PV domain: `command` is XENMEM_* with a start extent above its low 6 bits. Returns what
 * the sub-operation defines, or a negative errno; −ENOSYS for those that do not exist here.
 */
export function memoryOp(
  memory: PvMemory,
  vcpu: PvVcpu,
  guest: GuestAccess,
  command: bigint,
  arg: bigint,
): number {
  const op = Number(command & 0x3fn);
  const start = Number(BigInt.asUintN(32, command >> BigInt(EXTENT_SHIFT)));
  if (start !== 0 && WITHOUT_EXTENTS.has(op)) return -EINVAL;
  return Number(MEMORY_OPERATIONS.make(op, { memory, vcpu, guest, op, start, arg }, arg));
}
