// Xen public headers arch-x86/xen.h and arch-x86/xen-x86_64.h.

import { array, bytes, only, struct, u8, u16, u32, u64, ulong, x86_32, x86_64 } from './layout/index.js';

/** Descriptor-table pages from this one on belong to Xen (page, byte and entry index in the GDT). */
export const FIRST_RESERVED_GDT_PAGE = 14;
export const FIRST_RESERVED_GDT_BYTE = 0xe000;
export const FIRST_RESERVED_GDT_ENTRY = 0x1c00;

/** vCPUs that have a `vcpu_info` inside `shared_info`; others register their own. */
export const XEN_LEGACY_MAX_VCPUS = 32;

/** Bits of `vcpu_guest_context.flags`, and (`_VGCF_*`) their numbers. */
export const VGCF_I387_VALID = 1;
export const VGCF_IN_KERNEL = 4;
export const _VGCF_i387_valid = 0;
export const VGCF_i387_valid = 1;
export const _VGCF_in_kernel = 2;
export const VGCF_in_kernel = 4;
export const _VGCF_failsafe_disables_events = 3;
export const VGCF_failsafe_disables_events = 8;
export const _VGCF_syscall_disables_events = 4;
export const VGCF_syscall_disables_events = 0x10;
export const _VGCF_online = 5;
export const VGCF_online = 0x20;

/** `xen_cpuid_leaf.subleaf` of a leaf without sub-leaves. */
export const XEN_CPUID_NO_SUBLEAF = 0xffff_ffff;

/** Port to which an HVM guest may write debug text. */
export const XEN_HVM_DEBUGCONS_IOPORT = 0xe9;

/** Selectors of the flat segments in the part of the GDT that Xen owns. */
export const FLAT_RING3_CS32 = 0xe023;
export const FLAT_RING3_CS64 = 0xe033;
export const FLAT_RING3_DS32 = 0xe02b;
export const FLAT_RING3_DS64 = 0;
export const FLAT_RING3_SS32 = 0xe02b;
export const FLAT_RING3_SS64 = 0xe02b;
export const FLAT_KERNEL_DS64 = 0;
export const FLAT_KERNEL_DS32 = 0xe02b;
export const FLAT_KERNEL_DS = 0;
export const FLAT_KERNEL_CS64 = 0xe033;
export const FLAT_KERNEL_CS32 = 0xe023;
export const FLAT_KERNEL_CS = 0xe033;
export const FLAT_KERNEL_SS64 = 0xe02b;
export const FLAT_KERNEL_SS32 = 0xe02b;
export const FLAT_KERNEL_SS = 0xe02b;
export const FLAT_USER_DS64 = 0;
export const FLAT_USER_DS32 = 0xe02b;
export const FLAT_USER_DS = 0;
export const FLAT_USER_CS64 = 0xe033;
export const FLAT_USER_CS32 = 0xe023;
export const FLAT_USER_CS = 0xe033;
export const FLAT_USER_SS64 = 0xe02b;
export const FLAT_USER_SS32 = 0xe02b;
export const FLAT_USER_SS = 0xe02b;

/** Guest virtual addresses: Xen's own area and the read-only machine-to-physical table in it. */
export const HYPERVISOR_VIRT_START = 0xffff800000000000n;
export const HYPERVISOR_VIRT_END = 0xffff880000000000n;
export const MACH2PHYS_VIRT_START = 0xffff800000000000n;
export const MACH2PHYS_VIRT_END = 0xffff804000000000n;
export const MACH2PHYS_NR_ENTRIES = 0x8_0000_0000n;

/** Registers set by `set_segment_base`. */
export const SEGBASE_FS = 0;
export const SEGBASE_GS_USER = 1;
export const SEGBASE_GS_KERNEL = 2;
export const SEGBASE_GS_USER_SEL = 3;

/** Frame flag of `iret`: return as from a system call, RCX and R11 are free. */
export const _VGCF_in_syscall = 8;
export const VGCF_in_syscall = 0x100;
export const VGCF_IN_SYSCALL = 0x100;

/** Entry of a trap table (`set_trap_table`); the table ends with an entry whose `address` is 0. */
export const TrapInfo = struct('struct trap_info', {
  /** Exception vector. */
  vector: u8,
  /** Bits 0-1: the highest ring that may raise it by INT n; bit 2: mask events on entry. */
  flags: u8,
  cs: u16,
  address: ulong,
});

/** Register state of a guest, as `vcpu_guest_context` and the bottom of Xen's stack hold it. */
export const CpuUserRegs = struct(
  'struct cpu_user_regs',
  {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    rbp: u64,
    rbx: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rax: u64,
    rcx: u64,
    rdx: u64,
    rsi: u64,
    rdi: u64,
    error_code: u32,
    entry_vector: u32,
    rip: u64,
    cs: u16,
    _pad0: array(u16, 1),
    saved_upcall_mask: u8,
    _pad1: array(u8, 3),
    rflags: u64,
    rsp: u64,
    ss: u16,
    _pad2: array(u16, 3),
    es: u16,
    _pad3: array(u16, 3),
    ds: u16,
    _pad4: array(u16, 3),
    fs: u16,
    _pad5: array(u16, 3),
    gs: u16,
    _pad6: array(u16, 3),
  },
  { only: x86_64 },
);

/** What the `iret` hypercall pops from the guest's stack. */
export const IretContext = struct(
  'struct iret_context',
  {
    rax: u64,
    r11: u64,
    rcx: u64,
    flags: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
  },
  { only: x86_64 },
);

/** The whole state of a vCPU, for `VCPUOP_initialise`. */
export const VcpuGuestContext = struct(
  'struct vcpu_guest_context',
  {
    /** FXSAVE image. */
    fpu_ctxt: bytes(512),
    /** `VGCF_*`. */
    flags: ulong,
    user_regs: CpuUserRegs,
    trap_ctxt: array(TrapInfo, 256),
    ldt_base: ulong,
    ldt_ents: ulong,
    gdt_frames: array(ulong, 16),
    gdt_ents: ulong,
    kernel_ss: ulong,
    kernel_sp: ulong,
    ctrlreg: array(ulong, 8),
    debugreg: array(ulong, 8),
    event_callback_eip: ulong,
    failsafe_callback_eip: ulong,
    syscall_callback_eip: ulong,
    vm_assist: ulong,
    fs_base: u64,
    gs_base_kernel: u64,
    gs_base_user: u64,
  },
  { only: x86_64 },
);

/** The architecture's part of `shared_info`. */
export const ArchSharedInfo = struct('struct arch_shared_info', {
  /** Last pfn in the guest's table of mfns. */
  max_pfn: ulong,
  pfn_to_mfn_frame_list_list: ulong,
  nmi_reason: ulong,
  p2m_cr3: ulong,
  p2m_vaddr: ulong,
  p2m_generation: ulong,
  /** 64-bit guests have it in `shared_info` itself. */
  wc_sec_hi: only(x86_32, u32),
});

/** The architecture's part of `vcpu_info`. */
export const ArchVcpuInfo = struct('struct arch_vcpu_info', {
  /** Faulting address of the last page fault given to a PV guest. */
  cr2: ulong,
  /** Makes a `vcpu_info` 64 bytes long. */
  pad: array(ulong, (abi) => (abi.wordSize === 8 ? 1 : 5)),
});

/** One CPUID leaf of a policy. */
export const XenCpuidLeaf = struct('struct xen_cpuid_leaf', {
  leaf: u32,
  subleaf: u32,
  a: u32,
  b: u32,
  c: u32,
  d: u32,
});

/** One MSR of a policy. */
export const XenMsrEntry = struct('struct xen_msr_entry', { idx: u32, flags: u32, val: u64 });
