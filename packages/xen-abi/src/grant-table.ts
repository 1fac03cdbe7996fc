// Xen public header grant_table.h.

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
