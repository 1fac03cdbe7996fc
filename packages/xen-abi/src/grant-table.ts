// Xen public header grant_table.h.

import { array, handle, s16, struct, u16, u32, u64, ulong, union } from './layout/index.js';

/** Operations of `grant_table_op`. */
export const GNTTABOP_map_grant_ref = 0;
export const GNTTABOP_unmap_grant_ref = 1;
export const GNTTABOP_setup_table = 2;
export const GNTTABOP_dump_table = 3;
export const GNTTABOP_transfer = 4;
export const GNTTABOP_copy = 5;
export const GNTTABOP_query_size = 6;
export const GNTTABOP_unmap_and_replace = 7;
export const GNTTABOP_set_version = 8;
export const GNTTABOP_get_status_frames = 9;
export const GNTTABOP_get_version = 10;
export const GNTTABOP_swap_grant_ref = 11;
export const GNTTABOP_cache_flush = 12;

/** Entries reserved by the toolstack. */
export const GNTTAB_NR_RESERVED_ENTRIES = 8;
export const GNTTAB_RESERVED_CONSOLE = 0;
export const GNTTAB_RESERVED_XENSTORE = 1;

/** Types and flags of a grant entry. */
export const GTF_invalid = 0;
export const GTF_permit_access = 1;
export const GTF_accept_transfer = 2;
export const GTF_transitive = 3;
export const GTF_type_mask = 3;
export const _GTF_readonly = 2;
export const GTF_readonly = 4;
export const _GTF_reading = 3;
export const GTF_reading = 8;
export const _GTF_writing = 4;
export const GTF_writing = 0x10;
export const _GTF_PWT = 5;
export const GTF_PWT = 0x20;
export const _GTF_PCD = 6;
export const GTF_PCD = 0x40;
export const _GTF_PAT = 7;
export const GTF_PAT = 0x80;
export const _GTF_sub_page = 8;
export const GTF_sub_page = 0x100;
export const _GTF_transfer_committed = 2;
export const GTF_transfer_committed = 4;
export const _GTF_transfer_completed = 3;
export const GTF_transfer_completed = 8;

/** Flags of a mapping. */
export const _GNTMAP_device_map = 0;
export const GNTMAP_device_map = 1;
export const _GNTMAP_host_map = 1;
export const GNTMAP_host_map = 2;
export const _GNTMAP_readonly = 2;
export const GNTMAP_readonly = 4;
export const _GNTMAP_application_map = 3;
export const GNTMAP_application_map = 8;
export const _GNTMAP_contains_pte = 4;
export const GNTMAP_contains_pte = 0x10;
export const _GNTMAP_guest_avail0 = 16;
export const GNTMAP_guest_avail_mask = 0xffff_0000;

/** Flags of a grant copy. */
export const _GNTCOPY_source_gref = 0;
export const GNTCOPY_source_gref = 1;
export const _GNTCOPY_dest_gref = 1;
export const GNTCOPY_dest_gref = 2;

/** Operations of a cache flush. */
export const GNTTAB_CACHE_CLEAN = 1;
export const GNTTAB_CACHE_INVAL = 2;
export const GNTTAB_CACHE_SOURCE_GREF = 0x8000_0000;

/** Status of each element of a batch (negative on error). */
export const GNTST_okay = 0;
export const GNTST_general_error = -1;
export const GNTST_bad_domain = -2;
export const GNTST_bad_gntref = -3;
export const GNTST_bad_handle = -4;
export const GNTST_bad_virt_addr = -5;
export const GNTST_bad_dev_addr = -6;
export const GNTST_no_device_space = -7;
export const GNTST_permission_denied = -8;
export const GNTST_bad_page = -9;
export const GNTST_bad_copy_arg = -10;
export const GNTST_address_too_big = -11;
export const GNTST_eagain = -12;
export const GNTST_no_space = -13;

/** A version 1 grant entry. */
export const GrantEntryV1 = struct('struct grant_entry_v1', {
  /** `GTF_*`. */
  flags: u16,
  domid: u16,
  frame: u32,
});

/** First four bytes of every version 2 entry. */
export const GrantEntryHeader = struct('struct grant_entry_header', { flags: u16, domid: u16 });

/** A version 2 grant entry. */
export const GrantEntryV2 = union('union grant_entry_v2', {
  hdr: GrantEntryHeader,
  full_page: struct('', { hdr: GrantEntryHeader, pad0: u32, frame: u64 }),
  sub_page: struct('', { hdr: GrantEntryHeader, page_off: u16, length: u16, frame: u64 }),
  transitive: struct('', { hdr: GrantEntryHeader, trans_domid: u16, pad0: u16, gref: u32 }),
  __spacer: array(u32, 4),
});

/** Argument of `GNTTABOP_map_grant_ref`; `status`, `handle` and `dev_bus_addr` are answers. */
export const GnttabMapGrantRef = struct('struct gnttab_map_grant_ref', {
  /** Where to map: an address, or with `GNTMAP_contains_pte` the machine address of a page-table entry. */
  host_addr: u64,
  /** `GNTMAP_*`. */
  flags: u32,
  ref: u32,
  dom: u16,
  /** `GNTST_*`. */
  status: s16,
  handle: u32,
  dev_bus_addr: u64,
});

/** Argument of `GNTTABOP_unmap_grant_ref`. */
export const GnttabUnmapGrantRef = struct('struct gnttab_unmap_grant_ref', {
  host_addr: u64,
  dev_bus_addr: u64,
  handle: u32,
  status: s16,
});

/** Argument of `GNTTABOP_setup_table`. */
export const GnttabSetupTable = struct('struct gnttab_setup_table', {
  dom: u16,
  nr_frames: u32,
  status: s16,
  frame_list: handle,
});

/** Argument of `GNTTABOP_dump_table`. */
export const GnttabDumpTable = struct('struct gnttab_dump_table', { dom: u16, status: s16 });

/** Argument of `GNTTABOP_transfer`. */
export const GnttabTransfer = struct('struct gnttab_transfer', {
  mfn: ulong,
  domid: u16,
  ref: u32,
  status: s16,
});

/** One side of a grant copy. */
export const GnttabCopyPtr = struct('struct gnttab_copy_ptr', {
  u: union('', { ref: u32, gmfn: ulong }),
  domid: u16,
  offset: u16,
});

/** Argument of `GNTTABOP_copy`. */
export const GnttabCopy = struct('struct gnttab_copy', {
  source: GnttabCopyPtr,
  dest: GnttabCopyPtr,
  /** Bytes. */
  len: u16,
  /** `GNTCOPY_*`. */
  flags: u16,
  status: s16,
});

/** Argument of `GNTTABOP_query_size`. */
export const GnttabQuerySize = struct('struct gnttab_query_size', {
  dom: u16,
  nr_frames: u32,
  max_nr_frames: u32,
  status: s16,
});

/** Argument of `GNTTABOP_unmap_and_replace`. */
export const GnttabUnmapAndReplace = struct('struct gnttab_unmap_and_replace', {
  host_addr: u64,
  new_addr: u64,
  handle: u32,
  status: s16,
});

/** Argument of `GNTTABOP_set_version`. */
export const GnttabSetVersion = struct('struct gnttab_set_version', { version: u32 });

/** Argument of `GNTTABOP_get_status_frames`. */
export const GnttabGetStatusFrames = struct('struct gnttab_get_status_frames', {
  nr_frames: u32,
  dom: u16,
  status: s16,
  frame_list: handle,
});

/** Argument of `GNTTABOP_get_version`. */
export const GnttabGetVersion = struct('struct gnttab_get_version', { dom: u16, pad: u16, version: u32 });

/** Argument of `GNTTABOP_swap_grant_ref`. */
export const GnttabSwapGrantRef = struct('struct gnttab_swap_grant_ref', {
  ref_a: u32,
  ref_b: u32,
  status: s16,
});

/** Argument of `GNTTABOP_cache_flush`. */
export const GnttabCacheFlush = struct('struct gnttab_cache_flush', {
  a: union('', { dev_bus_addr: u64, ref: u32 }),
  offset: u16,
  length: u16,
  /** `GNTTAB_CACHE_*`. */
  op: u32,
});

const statusNames: readonly string[] = [
  'GNTST_okay',
  'GNTST_general_error',
  'GNTST_bad_domain',
  'GNTST_bad_gntref',
  'GNTST_bad_handle',
  'GNTST_bad_virt_addr',
  'GNTST_bad_dev_addr',
  'GNTST_no_device_space',
  'GNTST_permission_denied',
  'GNTST_bad_page',
  'GNTST_bad_copy_arg',
  'GNTST_address_too_big',
  'GNTST_eagain',
  'GNTST_no_space',
];

/** The name of a grant status, 0 or negative as Xen returns it; `grant status -99` if it has none. */
export function grantStatusName(status: number): string {
  return statusNames[-status] ?? `grant status ${status}`;
}
