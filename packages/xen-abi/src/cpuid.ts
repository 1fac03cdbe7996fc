// Xen public header arch-x86/cpuid.h: Xen's CPUID leaves, from 0x40000000.

/** First leaf. EAX: largest leaf; EBX, ECX, EDX: signature. */
export const XEN_CPUID_FIRST_LEAF = 0x4000_0000;

/** The signature "XenVMMXenVMM". */
export const XEN_CPUID_SIGNATURE_EBX = 0x566e_6558;
export const XEN_CPUID_SIGNATURE_ECX = 0x6558_4d4d;
export const XEN_CPUID_SIGNATURE_EDX = 0x4d4d_566e;

/** Leaf 3 (0x40000002), ECX: features. */
export const _XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD = 0;
export const XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD = 1;

/** Leaf 5 (0x40000004), EAX: features of HVM guests. */
export const XEN_HVM_CPUID_APIC_ACCESS_VIRT = 1;
export const XEN_HVM_CPUID_X2APIC_VIRT = 2;
export const XEN_HVM_CPUID_IOMMU_MAPPINGS = 4;
export const XEN_HVM_CPUID_VCPU_ID_PRESENT = 8;
export const XEN_HVM_CPUID_DOMID_PRESENT = 0x10;
export const XEN_HVM_CPUID_EXT_DEST_ID = 0x20;
export const XEN_HVM_CPUID_UPCALL_VECTOR = 0x40;

/** Leaf 6 (0x40000005), EBX: bits of a machine address. */
export const XEN_CPUID_MACHINE_ADDRESS_WIDTH_MASK = 0xff;

/** Leaves from the first one. */
export const XEN_CPUID_MAX_NUM_LEAVES = 5;
