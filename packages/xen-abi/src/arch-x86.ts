// Xen public headers arch-x86/xen.h and arch-x86/xen-x86_64.h.

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
