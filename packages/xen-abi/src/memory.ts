// Xen public header memory.h.

import { handle, struct, u8, u16, u32, u64, ulong, union } from './layout/index.js';
import { PhysdevPciDevice } from './physdev.js';

/** Operations of `memory_op` (the low 6 bits of the command; Xen continues at the extent in the bits above). */
export const XENMEM_increase_reservation = 0;
export const XENMEM_decrease_reservation = 1;
export const XENMEM_populate_physmap = 6;
export const XENMEM_exchange = 11;
export const XENMEM_maximum_ram_page = 2;
export const XENMEM_current_reservation = 3;
export const XENMEM_maximum_reservation = 4;
export const XENMEM_maximum_gpfn = 14;
export const XENMEM_machphys_mfn_list = 5;
export const XENMEM_machphys_compat_mfn_list = 25;
export const XENMEM_machphys_mapping = 12;
export const XENMEM_add_to_physmap = 7;
export const XENMEM_add_to_physmap_batch = 23;
export const XENMEM_remove_from_physmap = 15;
export const XENMEM_memory_map = 9;
export const XENMEM_machine_memory_map = 10;
export const XENMEM_set_memory_map = 13;
export const XENMEM_access_op = 21;
export const XENMEM_set_pod_target = 16;
export const XENMEM_get_pod_target = 17;
export const XENMEM_get_sharing_freed_pages = 18;
export const XENMEM_get_sharing_shared_pages = 19;
export const XENMEM_claim_pages = 24;
export const XENMEM_reserved_device_memory_map = 27;
export const XENMEM_acquire_resource = 28;
export const XENMEM_get_vnumainfo = 26;

/** Flags of `xen_memory_reservation.mem_flags`. */
export const XENMEMF_populate_on_demand = 0x1_0000;
export const XENMEMF_exact_node_request = 0x2_0000;
export const XENMEMF_vnode = 0x4_0000;

/** Packs and unpacks the address width (bits) in `mem_flags`; 0 for no limit. */
export const XENMEMF_address_bits = (bits: number): number => bits;
export const XENMEMF_get_address_bits = (flags: number): number => flags & 0xff;

/** Packs and unpacks the NUMA node in `mem_flags`; 0xff for none. */
export const XENMEMF_node = (node: number): number => (node + 1) << 8;
export const XENMEMF_get_node = (flags: number): number => ((flags >> 8) - 1) & 0xff;
export const XENMEMF_exact_node = (node: number): number => XENMEMF_node(node) | XENMEMF_exact_node_request;

/** Spaces of `xen_add_to_physmap`. */
export const XENMAPSPACE_shared_info = 0;
export const XENMAPSPACE_grant_table = 1;
export const XENMAPSPACE_gmfn = 2;
export const XENMAPSPACE_gmfn_range = 3;
export const XENMAPSPACE_gmfn_foreign = 4;
export const XENMAPSPACE_dev_mmio = 5;
export const XENMAPIDX_grant_table_status = 0x8000_0000;

/** Resources of `xen_mem_acquire_resource`. */
export const XENMEM_resource_ioreq_server = 0;
export const XENMEM_resource_grant_table = 1;
export const XENMEM_resource_vmtrace_buf = 2;
export const XENMEM_resource_grant_table_id_shared = 0;
export const XENMEM_resource_grant_table_id_status = 1;
export const XENMEM_resource_ioreq_server_frame_bufioreq = 0;

/** Argument of `XENMEM_increase_reservation`, `XENMEM_decrease_reservation` and `XENMEM_populate_physmap`. */
export const XenMemoryReservation = struct('struct xen_memory_reservation', {
  extent_start: handle,
  nr_extents: ulong,
  extent_order: u32,
  mem_flags: u32,
  domid: u16,
});

/** Argument of `XENMEM_exchange`. */
export const XenMemoryExchange = struct('struct xen_memory_exchange', {
  in: XenMemoryReservation,
  out: XenMemoryReservation,
  nr_exchanged: ulong,
});

/** Argument of the queries about one domain (`XENMEM_current_reservation` and its like). */
export const XenMemoryDomain = struct('struct xen_memory_domain', { domid: u16 });

/** Argument of `XENMEM_machphys_mfn_list`. */
export const XenMachphysMfnList = struct('struct xen_machphys_mfn_list', {
  max_extents: u32,
  extent_start: handle,
  nr_extents: u32,
});

/** Argument of `XENMEM_machphys_mapping`. */
export const XenMachphysMapping = struct('struct xen_machphys_mapping', {
  v_start: ulong,
  v_end: ulong,
  max_mfn: ulong,
});

/** Argument of `XENMEM_add_to_physmap`. */
export const XenAddToPhysmap = struct('struct xen_add_to_physmap', {
  domid: u16,
  /** Pages, for `XENMAPSPACE_gmfn_range` only. */
  size: u16,
  /** `XENMAPSPACE_*`. */
  space: u32,
  idx: ulong,
  gpfn: ulong,
});

/** Argument of `XENMEM_add_to_physmap_batch`. */
export const XenAddToPhysmapBatch = struct('struct xen_add_to_physmap_batch', {
  domid: u16,
  space: u16,
  size: u16,
  u: union('union xen_add_to_physmap_batch_extra', { foreign_domid: u16, res0: u16 }),
  idxs: handle,
  gpfns: handle,
  errs: handle,
});

/** Argument of `XENMEM_remove_from_physmap`. */
export const XenRemoveFromPhysmap = struct('struct xen_remove_from_physmap', { domid: u16, gpfn: ulong });

/** Argument of `XENMEM_memory_map`: room for and number of E820 entries. */
export const XenMemoryMap = struct('struct xen_memory_map', { nr_entries: u32, buffer: handle });

/**
 * Entry of the map that `XENMEM_memory_map` returns, in the BIOS's E820 format: 20 bytes without padding. (The
 * public header leaves it to the BIOS's definition.) Types are `XEN_HVM_MEMMAP_TYPE_*`.
 */
export const E820Entry = struct('', { addr: u64, size: u64, type: u32 }, { packed: true });

/** Argument of `XENMEM_set_memory_map`. */
export const XenForeignMemoryMap = struct('struct xen_foreign_memory_map', { domid: u16, map: XenMemoryMap });

/** Argument of `XENMEM_get_pod_target` and `XENMEM_set_pod_target`. */
export const XenPodTarget = struct('struct xen_pod_target', {
  target_pages: u64,
  tot_pages: u64,
  pod_cache_pages: u64,
  pod_entries: u64,
  domid: u16,
});

/** Argument of `XENMEM_reserved_device_memory_map`: room for and number of entries. */
export const XenReservedDeviceMemoryMap = struct('struct xen_reserved_device_memory_map', {
  /** `XENMEM_RDM_ALL`. */
  flags: u32,
  nr_entries: u32,
  buffer: handle,
  dev: union('', { pci: PhysdevPciDevice }),
});

/** All reserved regions, whatever the device. */
export const XENMEM_RDM_ALL = 1;

/** Argument of `XENMEM_access_op`. */
export const XenMemAccessOp = struct('struct xen_mem_access_op', {
  op: u8,
  access: u8,
  domid: u16,
  nr: u32,
  pfn: u64,
  pfn_list: handle,
  access_list: handle,
});

/** Argument of `XENMEM_acquire_resource`. */
export const XenMemAcquireResource = struct('struct xen_mem_acquire_resource', {
  domid: u16,
  type: u16,
  id: u32,
  nr_frames: u32,
  pad: u32,
  frame: u64,
  frame_list: handle,
});

/** A range of memory on a virtual NUMA node. */
export const XenVmemrange = struct('struct xen_vmemrange', { start: u64, end: u64, flags: u32, nid: u32 });

/** Argument of `XENMEM_get_vnumainfo`. */
export const XenVnumaTopologyInfo = struct('struct xen_vnuma_topology_info', {
  domid: u16,
  pad: u16,
  nr_vnodes: u32,
  nr_vcpus: u32,
  nr_vmemranges: u32,
  vdistance: union('', { h: handle, pad: u64 }),
  vcpu_to_vnode: union('', { h: handle, pad: u64 }),
  vmemrange: union('', { h: handle, pad: u64 }),
});
