// Xen public header xen.h: virtual interrupts, MMU operations, domain ids, console and assist operations.

import { ArchSharedInfo, ArchVcpuInfo, XEN_LEGACY_MAX_VCPUS } from './arch-x86.js';
import { array, handle, only, s8, struct, text, u8, u32, u64, ulong, union, x86_64 } from './layout/index.js';

/** Virtual interrupts (`VIRQ_*`), bound with `EVTCHNOP_bind_virq`. */
export const VIRQ_TIMER = 0;
export const VIRQ_DEBUG = 1;
export const VIRQ_CONSOLE = 2;
export const VIRQ_DOM_EXC = 3;
export const VIRQ_TBUF = 4;
export const VIRQ_DEBUGGER = 6;
export const VIRQ_XENOPROF = 7;
export const VIRQ_CON_RING = 8;
export const VIRQ_PCPU_STATE = 9;
export const VIRQ_MEM_EVENT = 10;
export const VIRQ_ARGO = 11;
export const VIRQ_ENOMEM = 12;
export const VIRQ_XENPMU = 13;
export const VIRQ_ARCH_0 = 16;
export const VIRQ_ARCH_1 = 17;
export const VIRQ_ARCH_2 = 18;
export const VIRQ_ARCH_3 = 19;
export const VIRQ_ARCH_4 = 20;
export const VIRQ_ARCH_5 = 21;
export const VIRQ_ARCH_6 = 22;
export const VIRQ_ARCH_7 = 23;
export const NR_VIRQS = 24;

/** Commands of `mmu_update`, in bits 0-1 of `mmu_update.ptr`. */
export const MMU_NORMAL_PT_UPDATE = 0;
export const MMU_MACHPHYS_UPDATE = 1;
export const MMU_PT_UPDATE_PRESERVE_AD = 2;
export const MMU_PT_UPDATE_NO_TRANSLATE = 3;

/** Commands of `mmuext_op`. */
export const MMUEXT_PIN_L1_TABLE = 0;
export const MMUEXT_PIN_L2_TABLE = 1;
export const MMUEXT_PIN_L3_TABLE = 2;
export const MMUEXT_PIN_L4_TABLE = 3;
export const MMUEXT_UNPIN_TABLE = 4;
export const MMUEXT_NEW_BASEPTR = 5;
export const MMUEXT_TLB_FLUSH_LOCAL = 6;
export const MMUEXT_INVLPG_LOCAL = 7;
export const MMUEXT_TLB_FLUSH_MULTI = 8;
export const MMUEXT_INVLPG_MULTI = 9;
export const MMUEXT_TLB_FLUSH_ALL = 10;
export const MMUEXT_INVLPG_ALL = 11;
export const MMUEXT_FLUSH_CACHE = 12;
export const MMUEXT_SET_LDT = 13;
export const MMUEXT_NEW_USER_BASEPTR = 15;
export const MMUEXT_CLEAR_PAGE = 16;
export const MMUEXT_COPY_PAGE = 17;
export const MMUEXT_FLUSH_CACHE_GLOBAL = 18;
export const MMUEXT_MARK_SUPER = 19;
export const MMUEXT_UNMARK_SUPER = 20;

/** Flags of `update_va_mapping`: what to flush, and on which vCPUs (else a pointer to a vCPU bitmap). */
export const UVMF_NONE = 0;
export const UVMF_TLB_FLUSH = 1;
export const UVMF_INVLPG = 2;
export const UVMF_FLUSHTYPE_MASK = 3;
export const UVMF_MULTI = 0;
export const UVMF_LOCAL = 0;
export const UVMF_ALL = 4;

/** Commands of `console_io`. */
export const CONSOLEIO_write = 0;
export const CONSOLEIO_read = 1;

/** Commands and types of `vm_assist`. */
export const VMASST_CMD_enable = 0;
export const VMASST_CMD_disable = 1;
export const VMASST_TYPE_4gb_segments = 0;
export const VMASST_TYPE_4gb_segments_notify = 1;
export const VMASST_TYPE_writable_pagetables = 2;
export const VMASST_TYPE_pae_extended_cr3 = 3;
export const VMASST_TYPE_architectural_iopl = 4;
export const VMASST_TYPE_runstate_update_flag = 5;
export const VMASST_TYPE_m2p_strict = 32;

/** Reserved domain ids; ordinary ones are below `DOMID_FIRST_RESERVED`. */
export const DOMID_FIRST_RESERVED = 0x7ff0;
export const DOMID_SELF = 0x7ff0;
export const DOMID_IO = 0x7ff1;
export const DOMID_XEN = 0x7ff2;
export const DOMID_COW = 0x7ff3;
export const DOMID_INVALID = 0x7ff4;
export const DOMID_IDLE = 0x7fff;
export const DOMID_MASK = 0x7fff;

/** Bits of `vcpu_time_info.flags`. */
export const XEN_PVCLOCK_TSC_STABLE_BIT = 1;
export const XEN_PVCLOCK_GUEST_STOPPED = 2;

/** Bits of `start_info.flags`. */
export const SIF_PRIVILEGED = 1;
export const SIF_INITDOMAIN = 2;
export const SIF_MULTIBOOT_MOD = 4;
export const SIF_MOD_START_PFN = 8;
export const SIF_VIRT_P2M_4TOOLS = 0x10;
export const SIF_PM_MASK = 0xff00;

/** Bytes of `start_info.cmd_line`, terminating NUL included. */
export const MAX_GUEST_CMDLINE = 1024;

/** Video types of the console information given to the initial domain. */
export const XEN_VGATYPE_TEXT_MODE_3 = 3;
export const XEN_VGATYPE_VESA_LFB = 0x23;
export const XEN_VGATYPE_EFI_LFB = 0x70;

/** One page-table update of `mmu_update`: machine address of the entry (command in bits 0-1) and value. */
export const MmuUpdate = struct('struct mmu_update', { ptr: u64, val: u64 });

/** One operation of `mmuext_op`. */
export const MmuextOp = struct('struct mmuext_op', {
  cmd: u32,
  arg1: union('', { mfn: ulong, linear_addr: ulong }),
  arg2: union('', { nr_ents: u32, vcpumask: handle, src_mfn: ulong }),
});

/** One hypercall of a `multicall`; Xen fills in `result`. */
export const MulticallEntry = struct('struct multicall_entry', {
  op: ulong,
  result: ulong,
  args: array(ulong, 6),
});

/**
 * A vCPU's time. `version` is odd while Xen writes. Nanoseconds since boot are
 * `system_time + (((tsc - tsc_timestamp) << tsc_shift) * tsc_to_system_mul >> 32)`.
 */
export const VcpuTimeInfo = struct('struct vcpu_time_info', {
  version: u32,
  pad0: u32,
  tsc_timestamp: u64,
  system_time: u64,
  tsc_to_system_mul: u32,
  tsc_shift: s8,
  /** `XEN_PVCLOCK_*`. */
  flags: u8,
  pad1: array(u8, 2),
});

/** What Xen and one vCPU share: event delivery, the last fault address and the time. */
export const VcpuInfo = struct('struct vcpu_info', {
  evtchn_upcall_pending: u8,
  evtchn_upcall_mask: u8,
  evtchn_pending_sel: ulong,
  arch: ArchVcpuInfo,
  time: VcpuTimeInfo,
});

/** What Xen and one domain share, in one page. The bitmaps have a bit per port: 4096, or 1024 for a 32-bit guest. */
export const SharedInfo = struct('struct shared_info', {
  vcpu_info: array(VcpuInfo, XEN_LEGACY_MAX_VCPUS),
  evtchn_pending: array(ulong, (abi) => abi.wordSize * 8),
  evtchn_mask: array(ulong, (abi) => abi.wordSize * 8),
  /** Wall clock at system time 0; the version is odd while Xen writes. */
  wc_version: u32,
  wc_sec: u32,
  wc_nsec: u32,
  wc_sec_hi: only(x86_64, u32),
  arch: ArchSharedInfo,
});

/** What a PV guest finds at RSI when it starts. */
export const StartInfo = struct('struct start_info', {
  /** "xen-3.0-x86_64" and the like. */
  magic: text(32),
  nr_pages: ulong,
  /** Machine address of the shared info page. */
  shared_info: ulong,
  /** `SIF_*`. */
  flags: u32,
  store_mfn: ulong,
  store_evtchn: u32,
  console: union('', {
    domU: struct('', { mfn: ulong, evtchn: u32 }),
    dom0: struct('', { info_off: u32, info_size: u32 }),
  }),
  pt_base: ulong,
  nr_pt_frames: ulong,
  mfn_list: ulong,
  /** Virtual address of the module, or its pfn with `SIF_MOD_START_PFN`. */
  mod_start: ulong,
  mod_len: ulong,
  cmd_line: text(MAX_GUEST_CMDLINE),
  first_p2m_pfn: ulong,
  nr_p2m_frames: ulong,
});

/** Entry of the list of modules given with `SIF_MULTIBOOT_MOD`. */
export const XenMultibootModList = struct('struct xen_multiboot_mod_list', {
  mod_start: u32,
  mod_end: u32,
  cmdline: u32,
  pad: u32,
});
