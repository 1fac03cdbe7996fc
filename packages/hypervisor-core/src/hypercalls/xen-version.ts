import {
  EFAULT,
  EINVAL,
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
  XenCompileInfo,
  XenFeatureInfo,
} from '@xenolith/xen-abi';
import { type Accessed, Operations, plain, type Row, refused, taking } from '../operations.js';
import { XEN_VERSION } from '../version.js';
import type { Call } from './call.js';

/** What Xen says to those who may not read its command line. */
const DENIED = '<denied>';

const text = (value: string, size: number): Uint8Array => {
  const out = new Uint8Array(size);
  out.set(new TextEncoder().encode(value).subarray(0, size - 1));
  return out;
};

const answer = (bytes: (call: Call) => Uint8Array): Row<Call> =>
  plain((call, arg) => (call.guest.copyTo(arg, bytes(call)) ? 0 : -EFAULT));

/** xen_version, as an unprivileged domain sees it (xen/common/kernel.c, xsm_xen_version). */
export const VERSION_OPERATIONS = new Operations<Call, 'XENVER_'>('XENVER_', {
  version: plain(() => (XEN_VERSION.major << 16) | XEN_VERSION.minor),
  extraversion: answer(() => text(XEN_VERSION.extra, XEN_EXTRAVERSION_LEN)),
  compile_info: answer(compileInfo),
  capabilities: answer(() => text(XEN_VERSION.capabilities, XEN_CAPABILITIES_INFO_LEN)),
  changeset: answer(() => text(XEN_VERSION.changeset, XEN_CHANGESET_INFO_LEN)),
  platform_parameters: plain(({ guest }, arg) => (guest.writeU64(arg, HYPERVISOR_VIRT_START) ? 0 : -EFAULT)),
  get_features: taking(XenFeatureInfo, getFeatures),
  pagesize: plain((_, arg) => (arg === 0n ? 4096 : -EINVAL)),
  guest_handle: answer(({ domain }) => domain.settings.handle ?? new Uint8Array(16)),
  commandline: answer(() => text(DENIED, DENIED.length + 1)),
  build_id: refused(EPERM, 'domU'),
});

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

function getFeatures(
  { domain, guest }: Call,
  info: Accessed<(typeof XenFeatureInfo)['fields']>,
  arg: bigint,
): number {
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
