/** Numbers of the x86-64 architecture (AMD64 Architecture Programmer's Manual, volume 2) that the hypervisor works with. */

/** Index of a general-purpose register in `CpuRegisters.gpr`. */
export const GPR = {
  rax: 0,
  rcx: 1,
  rdx: 2,
  rbx: 3,
  rsp: 4,
  rbp: 5,
  rsi: 6,
  rdi: 7,
  r8: 8,
  r9: 9,
  r10: 10,
  r11: 11,
  r12: 12,
  r13: 13,
  r14: 14,
  r15: 15,
} as const;

/** Index of a segment register in `CpuRegisters.selectors`. */
export const SEG = { es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5 } as const;

export const FLAG = {
  tf: 1n << 8n,
  if: 1n << 9n,
  df: 1n << 10n,
  iopl: 3n << 12n,
  nt: 1n << 14n,
  rf: 1n << 16n,
  vm: 1n << 17n,
  ac: 1n << 18n,
} as const;

export const VECTOR = {
  debug: 1,
  nmi: 2,
  breakpoint: 3,
  overflow: 4,
  invalidOpcode: 6,
  deviceNotAvailable: 7,
  doubleFault: 8,
  invalidTss: 10,
  segmentNotPresent: 11,
  stackSegment: 12,
  generalProtection: 13,
  pageFault: 14,
  x87: 16,
  alignmentCheck: 17,
  machineCheck: 18,
  simd: 19,
} as const;

/** Bits of a page fault's error code. */
export const PFEC = { present: 1, write: 2, user: 4, reserved: 8, fetch: 16 } as const;

export const CR0 = {
  pe: 1n,
  mp: 2n,
  em: 4n,
  ts: 8n,
  et: 16n,
  ne: 32n,
  wp: 1n << 16n,
  am: 1n << 18n,
  pg: 1n << 31n,
} as const;

/** CR0 as Xen runs: a PV guest sees it, and may only change TS. */
export const XEN_CR0 = CR0.pe | CR0.mp | CR0.et | CR0.ne | CR0.wp | CR0.am | CR0.pg;

export const CR4 = {
  tsd: 1n << 2n,
  de: 1n << 3n,
  pse: 1n << 4n,
  pae: 1n << 5n,
  mce: 1n << 6n,
  osfxsr: 1n << 9n,
  osxmmexcpt: 1n << 10n,
  fsgsbase: 1n << 16n,
} as const;

/** Segment descriptor attributes, in the upper half of a descriptor. */
export const DESC = {
  accessed: 1 << 8,
  /** Data: writable. Code: readable. */
  rw: 1 << 9,
  conforming: 1 << 10,
  code: 1 << 11,
  /** Code or data (not a system descriptor). */
  s: 1 << 12,
  dplShift: 13,
  present: 1 << 15,
  long: 1 << 21,
  db: 1 << 22,
  granularity: 1 << 23,
} as const;

const SIGN_BIT = 1n << 47n;
const HIGH_HALF = 0xffff_8000_0000_0000n;

/** Bits 47–63 are all equal. */
export const isCanonical = (address: bigint): boolean => address < SIGN_BIT || address >= HIGH_HALF;

/** First address that a PV guest may not touch, and the first behind Xen's area (xen.h, HYPERVISOR_VIRT_START and _END). */
export const XEN_AREA_START = 0xffff_8000_0000_0000n;
export const XEN_AREA_END = 0xffff_8800_0000_0000n;

/** Guest accesses by the hypervisor on a guest's behalf stay outside Xen's area. */
export const isGuestAddress = (address: bigint): boolean => address < SIGN_BIT || address >= XEN_AREA_END;

export const U64 = (value: bigint): bigint => BigInt.asUintN(64, value);
export const U32 = 0xffff_ffffn;

/** A 64-bit CR3 value names frame n at n << 12. */
export const frameToCr3 = (mfn: number): bigint => BigInt(mfn) << 12n;
export const cr3ToFrame = (cr3: bigint): bigint => cr3 >> 12n;
