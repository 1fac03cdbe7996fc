// Xen public header arch-x86/hvm/start_info.h: what a PVH guest finds at EBX when it starts.

import { struct, u32, u64 } from '../layout/index.js';

/** `hvm_start_info.magic`. */
export const XEN_HVM_START_MAGIC_VALUE = 0x336e_c578;

/** Kinds of memory; the numbers are those of E820 tables. */
export const XEN_HVM_MEMMAP_TYPE_RAM = 1;
export const XEN_HVM_MEMMAP_TYPE_RESERVED = 2;
export const XEN_HVM_MEMMAP_TYPE_ACPI = 3;
export const XEN_HVM_MEMMAP_TYPE_NVS = 4;
export const XEN_HVM_MEMMAP_TYPE_UNUSABLE = 5;
export const XEN_HVM_MEMMAP_TYPE_DISABLED = 6;
export const XEN_HVM_MEMMAP_TYPE_PMEM = 7;

/** The start structure; addresses are guest-physical, 0 for none. The memory map exists from version 1 on. */
export const HvmStartInfo = struct('struct hvm_start_info', {
  magic: u32,
  version: u32,
  /** `SIF_*`. */
  flags: u32,
  nr_modules: u32,
  modlist_paddr: u64,
  cmdline_paddr: u64,
  rsdp_paddr: u64,
  memmap_paddr: u64,
  memmap_entries: u32,
  reserved: u32,
});

/** Entry of the list of modules. */
export const HvmModlistEntry = struct('struct hvm_modlist_entry', {
  paddr: u64,
  /** Bytes. */
  size: u64,
  cmdline_paddr: u64,
  reserved: u64,
});

/** Entry of the memory map. */
export const HvmMemmapTableEntry = struct('struct hvm_memmap_table_entry', {
  addr: u64,
  /** Bytes. */
  size: u64,
  /** `XEN_HVM_MEMMAP_TYPE_*`. */
  type: u32,
  reserved: u32,
});
