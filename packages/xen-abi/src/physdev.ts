// Xen public header physdev.h.

import { handle, s32, struct, u8, u16, u32, u64, ulong, union } from './layout/index.js';

/** Operations of `physdev_op`. */
export const PHYSDEVOP_eoi = 12;
export const PHYSDEVOP_pirq_eoi_gmfn_v1 = 17;
export const PHYSDEVOP_pirq_eoi_gmfn_v2 = 28;
export const PHYSDEVOP_irq_status_query = 5;
export const PHYSDEVOP_set_iopl = 6;
export const PHYSDEVOP_set_iobitmap = 7;
export const PHYSDEVOP_apic_read = 8;
export const PHYSDEVOP_apic_write = 9;
export const PHYSDEVOP_alloc_irq_vector = 10;
export const PHYSDEVOP_free_irq_vector = 11;
export const PHYSDEVOP_map_pirq = 13;
export const PHYSDEVOP_unmap_pirq = 14;
export const PHYSDEVOP_manage_pci_add = 15;
export const PHYSDEVOP_manage_pci_remove = 16;
export const PHYSDEVOP_restore_msi = 19;
export const PHYSDEVOP_manage_pci_add_ext = 20;
export const PHYSDEVOP_setup_gsi = 21;
export const PHYSDEVOP_get_free_pirq = 23;
export const PHYSDEVOP_pci_mmcfg_reserved = 24;
export const PHYSDEVOP_pci_device_add = 25;
export const PHYSDEVOP_pci_device_remove = 26;
export const PHYSDEVOP_restore_msi_ext = 27;
export const PHYSDEVOP_prepare_msix = 30;
export const PHYSDEVOP_release_msix = 31;
export const PHYSDEVOP_dbgp_op = 29;
export const PHYSDEVOP_pirq_eoi_gmfn = 28;

/** Interrupt number on which `PHYSDEVOP_eoi` used to be requested (obsolete notification). */
export const PHYSDEVOP_IRQ_UNMASK_NOTIFY = 4;

/** Flags returned by `PHYSDEVOP_irq_status_query`. */
export const _XENIRQSTAT_needs_eoi = 0;
export const XENIRQSTAT_needs_eoi = 1;
export const _XENIRQSTAT_shared = 1;
export const XENIRQSTAT_shared = 2;

/** Kinds of physical interrupt in `physdev_map_pirq`. */
export const MAP_PIRQ_TYPE_MSI = 0;
export const MAP_PIRQ_TYPE_GSI = 1;
export const MAP_PIRQ_TYPE_UNKNOWN = 2;
export const MAP_PIRQ_TYPE_MSI_SEG = 3;
export const MAP_PIRQ_TYPE_MULTI_MSI = 4;

/** Flags of PCI device operations. */
export const XEN_PCI_MMCFG_RESERVED = 1;
export const XEN_PCI_DEV_EXTFN = 1;
export const XEN_PCI_DEV_VIRTFN = 2;
export const XEN_PCI_DEV_PXM = 4;

/** Debug port operations and buses. */
export const PHYSDEVOP_DBGP_RESET_PREPARE = 1;
export const PHYSDEVOP_DBGP_RESET_DONE = 2;
export const PHYSDEVOP_DBGP_BUS_UNKNOWN = 0;
export const PHYSDEVOP_DBGP_BUS_PCI = 1;

/** Argument of `PHYSDEVOP_eoi`. */
export const PhysdevEoi = struct('struct physdev_eoi', { irq: u32 });

/** Argument of `PHYSDEVOP_pirq_eoi_gmfn_v1` and `PHYSDEVOP_pirq_eoi_gmfn_v2`. */
export const PhysdevPirqEoiGmfn = struct('struct physdev_pirq_eoi_gmfn', { gmfn: ulong });

/** Argument of `PHYSDEVOP_irq_status_query`. */
export const PhysdevIrqStatusQuery = struct('struct physdev_irq_status_query', { irq: u32, flags: u32 });

/** Argument of `PHYSDEVOP_set_iopl`. */
export const PhysdevSetIopl = struct('struct physdev_set_iopl', { iopl: u32 });

/** Argument of `PHYSDEVOP_set_iobitmap`. */
export const PhysdevSetIobitmap = struct('struct physdev_set_iobitmap', { bitmap: handle, nr_ports: u32 });

/** Argument of `PHYSDEVOP_apic_read` and `PHYSDEVOP_apic_write`. */
export const PhysdevApic = struct('struct physdev_apic', { apic_physbase: ulong, reg: u32, value: u32 });

/** Argument of `PHYSDEVOP_alloc_irq_vector` and `PHYSDEVOP_free_irq_vector`. */
export const PhysdevIrq = struct('struct physdev_irq', { irq: u32, vector: u32 });

/** Argument of `PHYSDEVOP_map_pirq`. */
export const PhysdevMapPirq = struct('struct physdev_map_pirq', {
  domid: u16,
  /** `MAP_PIRQ_TYPE_*`. */
  type: s32,
  index: s32,
  pirq: s32,
  bus: s32,
  devfn: s32,
  entry_nr: s32,
  table_base: u64,
});

/** Argument of `PHYSDEVOP_unmap_pirq`. */
export const PhysdevUnmapPirq = struct('struct physdev_unmap_pirq', { domid: u16, pirq: s32 });

/** Argument of `PHYSDEVOP_manage_pci_add` and `PHYSDEVOP_manage_pci_remove`. */
export const PhysdevManagePci = struct('struct physdev_manage_pci', { bus: u8, devfn: u8 });

/** Argument of `PHYSDEVOP_restore_msi`. */
export const PhysdevRestoreMsi = struct('struct physdev_restore_msi', { bus: u8, devfn: u8 });

/** Argument of `PHYSDEVOP_manage_pci_add_ext`. */
export const PhysdevManagePciExt = struct('struct physdev_manage_pci_ext', {
  bus: u8,
  devfn: u8,
  is_extfn: u32,
  is_virtfn: u32,
  physfn: struct('', { bus: u8, devfn: u8 }),
});

/** Argument of the old `physdev_op_compat` hypercall. */
export const PhysdevOp = struct('struct physdev_op', {
  cmd: u32,
  u: union('', {
    irq_status_query: PhysdevIrqStatusQuery,
    set_iopl: PhysdevSetIopl,
    set_iobitmap: PhysdevSetIobitmap,
    apic_op: PhysdevApic,
    irq_op: PhysdevIrq,
  }),
});

/** Argument of `PHYSDEVOP_setup_gsi`. */
export const PhysdevSetupGsi = struct('struct physdev_setup_gsi', { gsi: s32, triggering: u8, polarity: u8 });

/** Argument of `PHYSDEVOP_get_free_pirq`. */
export const PhysdevGetFreePirq = struct('struct physdev_get_free_pirq', { type: s32, pirq: u32 });

/** Argument of `PHYSDEVOP_pci_mmcfg_reserved`. */
export const PhysdevPciMmcfgReserved = struct('struct physdev_pci_mmcfg_reserved', {
  address: u64,
  segment: u16,
  start_bus: u8,
  end_bus: u8,
  flags: u32,
});

/** Argument of `PHYSDEVOP_pci_device_add`; optional u32 values follow. */
export const PhysdevPciDeviceAdd = struct('struct physdev_pci_device_add', {
  seg: u16,
  bus: u8,
  devfn: u8,
  flags: u32,
  physfn: struct('', { bus: u8, devfn: u8 }),
});

/** Argument of the operations on one PCI device. */
export const PhysdevPciDevice = struct('struct physdev_pci_device', { seg: u16, bus: u8, devfn: u8 });

/** Argument of `PHYSDEVOP_dbgp_op`. */
export const PhysdevDbgpOp = struct('struct physdev_dbgp_op', {
  op: u8,
  bus: u8,
  u: union('', { pci: PhysdevPciDevice }),
});
