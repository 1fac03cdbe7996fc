// Xen public header version.h.

import { struct, text, u32, ulong } from './layout/index.js';

/** Commands of `xen_version`. */
export const XENVER_version = 0;
export const XENVER_extraversion = 1;
export const XENVER_compile_info = 2;
export const XENVER_capabilities = 3;
export const XENVER_changeset = 4;
export const XENVER_platform_parameters = 5;
export const XENVER_get_features = 6;
export const XENVER_pagesize = 7;
export const XENVER_guest_handle = 8;
export const XENVER_commandline = 9;
export const XENVER_build_id = 10;

/** Bytes of the texts returned. */
export const XEN_EXTRAVERSION_LEN = 16;
export const XEN_CAPABILITIES_INFO_LEN = 0x400;
export const XEN_CHANGESET_INFO_LEN = 64;

/** Answer of `XENVER_compile_info`. */
export const XenCompileInfo = struct('struct xen_compile_info', {
  compiler: text(64),
  compile_by: text(16),
  compile_domain: text(32),
  compile_date: text(32),
});

/** Answer of `XENVER_platform_parameters`. */
export const XenPlatformParameters = struct('struct xen_platform_parameters', { virt_start: ulong });

/** Argument and answer of `XENVER_get_features`: 32 `XENFEAT_*` bits, from bit 32 * `submap_idx`. */
export const XenFeatureInfo = struct('struct xen_feature_info', { submap_idx: u32, submap: u32 });

/** Argument of `XENVER_build_id`; `len` bytes follow. */
export const XenBuildId = struct('struct xen_build_id', { len: u32 });
