import {
  EFAULT,
  EINVAL,
  ENOSYS,
  EPERM,
  HYPERVISOR_VIRT_START,
  VMASST_TYPE_pae_extended_cr3,
  XEN_CAPABILITIES_INFO_LEN,
  XEN_CHANGESET_INFO_LEN,
  XEN_EXTRAVERSION_LEN,
  XENFEAT_direct_mapped,
  XENFEAT_gnttab_map_avail_bits,
  XENFEAT_highmem_assist,
  XENFEAT_memory_op_vnode_supported,
  XENFEAT_mmu_pt_update_preserve_ad,
  XENFEAT_pae_pgdir_above_4gb,
  XENVER_build_id,
  XENVER_capabilities,
  XENVER_changeset,
  XENVER_commandline,
  XENVER_compile_info,
  XENVER_extraversion,
  XENVER_get_features,
  XENVER_guest_handle,
  XENVER_pagesize,
  XENVER_platform_parameters,
  XENVER_version,
  XenCompileInfo,
  XenFeatureInfo,
} from '@xenolith/xen-abi';
import { XEN_VERSION } from '../version.js';
import { type Call, s32, u64 } from './call.js';

/** What Xen says to those who may not read its command line. */
const DENIED = '<denied>';

const text = (value: string, size: number): Uint8Array => {
  const out = new Uint8Array(size);
  out.set(new TextEncoder().encode(value).subarray(0, size - 1));
  return out;
};

/** xen_version, as an unprivileged domain sees it (xen/common/kernel.c, xsm_xen_version). */
export function xenVersion(call: Call): number {
  const { domain, guest } = call;
  const arg = u64(call, 1);
  const answer = (bytes: Uint8Array) => (guest.copyTo(arg, bytes) ? 0 : -EFAULT);
  switch (s32(call, 0)) {
    case XENVER_version:
      return (XEN_VERSION.major << 16) | XEN_VERSION.minor;
    case XENVER_extraversion:
      return answer(text(XEN_VERSION.extra, XEN_EXTRAVERSION_LEN));
    case XENVER_compile_info:
      return answer(compileInfo());
    case XENVER_capabilities:
      return answer(text(XEN_VERSION.capabilities, XEN_CAPABILITIES_INFO_LEN));
    case XENVER_changeset:
      return answer(text(XEN_VERSION.changeset, XEN_CHANGESET_INFO_LEN));
    case XENVER_platform_parameters:
      return guest.writeU64(arg, HYPERVISOR_VIRT_START) ? 0 : -EFAULT;
    case XENVER_get_features:
      return getFeatures(call, arg);
    case XENVER_pagesize:
      return arg === 0n ? 4096 : -EINVAL;
    case XENVER_guest_handle:
      return answer(domain.settings.handle ?? new Uint8Array(16));
    case XENVER_commandline:
      return answer(text(DENIED, DENIED.length + 1));
    case XENVER_build_id:
      return -EPERM;
    default:
      return -ENOSYS;
  }
}

function compileInfo(): Uint8Array {
  const { offset, size } = XenCompileInfo;
  const out = new Uint8Array(size);
  const { compiler, compileBy, compileDomain, compileDate } = XEN_VERSION;
  out.set(text(compiler, 64), offset.compiler);
  out.set(text(compileBy, 16), offset.compile_by);
  out.set(text(compileDomain, 32), offset.compile_domain);
  out.set(text(compileDate, 32), offset.compile_date);
  return out;
}

function getFeatures({ domain, guest }: Call, arg: bigint): number {
  const info = guest.readStruct(XenFeatureInfo, arg);
  if (!info) return -EFAULT;
  if (info.submap_idx !== 0) return -EINVAL;
  const features = [
    XENFEAT_memory_op_vnode_supported,
    XENFEAT_mmu_pt_update_preserve_ad,
    XENFEAT_highmem_assist,
    XENFEAT_gnttab_map_avail_bits,
    XENFEAT_direct_mapped,
  ];
  if (domain.hasAssist(VMASST_TYPE_pae_extended_cr3)) features.push(XENFEAT_pae_pgdir_above_4gb);
  const submap = features.reduce((map, bit) => map | (1 << bit), 0) >>> 0;
  return guest.writeU32(arg + BigInt(XenFeatureInfo.offset.submap), submap) ? 0 : -EFAULT;
}
