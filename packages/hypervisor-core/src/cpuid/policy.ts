/**
 * The processor that PV guests see: an AMD processor of family 25, without what Xen hides from PV guests (PSE, PGE, MTRR,
 * PCID, SMEP, SMAP, x2APIC, large pages), with the instructions that the emulator has. Feature names and bits as in
 * Xen's public cpufeatureset.h. To show another processor, edit this file.
 */
import { XEN_CPUID_FIRST_LEAF } from '@xenolith/xen-abi';

/** eax, ebx, ecx, edx */
export type CpuidLeaf = readonly [number, number, number, number];

const bits = (...numbers: number[]): number => numbers.reduce((sum, n) => sum | (1 << n), 0) >>> 0;
const ascii = (text: string): number => {
  let value = 0;
  for (let i = 3; i >= 0; i--) value = (value << 8) | (text.charCodeAt(i) || 0);
  return value >>> 0;
};

/** 48 bytes in leaves 0x80000002 … 4. */
const BRAND = 'AMD-compatible Xenolith Processor'.padEnd(48, '\0');
const brand = (n: number): CpuidLeaf =>
  [0, 4, 8, 12].map((i) => ascii(BRAND.slice(n * 16 + i, n * 16 + i + 4))) as unknown as CpuidLeaf;

const VENDOR: readonly [number, number, number] = [ascii('Auth'), ascii('cAMD'), ascii('enti')];
/** Family 25 (0x19), model 0x21, stepping 0: family 15 + extended family 10. */
const SIGNATURE = (10 << 20) | (2 << 16) | (15 << 8) | (1 << 4);

const LEAF1_ECX = bits(
  0, // SSE3
  9, // SSSE3
  13, // CMPXCHG16B
  19, // SSE4.1
  20, // SSE4.2
  23, // POPCNT
  30, // RDRAND
  31, // HYPERVISOR
);
const LEAF1_EDX = bits(
  0, // FPU
  2, // DE
  4, // TSC
  5, // MSR
  6, // PAE
  7, // MCE
  8, // CMPXCHG8B
  9, // APIC
  14, // MCA
  15, // CMOV
  16, // PAT
  19, // CLFLUSH
  23, // MMX
  24, // FXSR
  25, // SSE
  26, // SSE2
);
const LEAF7_EBX = bits(
  9, // ERMS
);
const LEAF7_EDX = bits(
  4, // FSRM
);
/** What AMD repeats from leaf 1, and SYSCALL, NX, RDTSCP, long mode. */
const EXT1_EDX = bits(0, 2, 4, 5, 6, 7, 8, 9, 11, 14, 15, 16, 20, 23, 24, 27, 29);
const EXT1_ECX = bits(
  0, // LAHF in 64-bit mode
);
const EXT8_EBX = bits(
  2, // FXSAVE and FXRSTOR always handle the x87 error pointers: kernels need not work around a leak
  14, // IBRS: SPEC_CTRL exists; nothing here speculates, so that writing it does nothing
  26, // SSB_NO
  29, // BTC_NO
);
const EXT21_EAX = bits(
  2, // LFENCE is always serializing
  6, // a null selector clears the base
  8, // automatic IBRS, so that kernels need no retpolines
  29, // SRSO_NO
);
const EXT21_ECX = bits(
  1, // TSA_SQ_NO
  2, // TSA_L1_NO
);

/** Leaves without sub-leaves (7: sub-leaf 0 only). What is not here reads as zeros, as on AMD processors. */
export const BASIC_LEAVES: ReadonlyMap<number, CpuidLeaf> = new Map<number, CpuidLeaf>([
  [0, [7, VENDOR[0], VENDOR[1], VENDOR[2]]],
  [1, [SIGNATURE, 8 << 8, LEAF1_ECX, LEAF1_EDX]],
  [7, [0, LEAF7_EBX, 0, LEAF7_EDX]],
  [0x8000_0000, [0x8000_0021, VENDOR[0], VENDOR[1], VENDOR[2]]],
  [0x8000_0001, [SIGNATURE, 0, EXT1_ECX, EXT1_EDX]],
  [0x8000_0002, brand(0)],
  [0x8000_0003, brand(1)],
  [0x8000_0004, brand(2)],
  // L1: 64 entries of TLB; 32 KiB of data and of instructions, 8-way, lines of 64 bytes.
  [0x8000_0005, [0xff40_ff40, 0xff40_ff40, 0x2008_0140, 0x2008_0140]],
  // L2: 512 KiB, 8-way; TLBs of 512 and 2,048 entries. L3: 32 MiB, 16-way.
  [0x8000_0006, [0x4800_2200, 0x6800_4200, 0x0200_6140, 0x0100_9140]],
  [0x8000_0007, [0, 0, 0, 0]],
  // 48 bits of linear and of physical address.
  [0x8000_0008, [0x3030, EXT8_EBX, 0, 0]],
  [0x8000_0021, [EXT21_EAX, 0, EXT21_ECX, 0]],
]);

/** Leaf with the largest number of Xen's range, 0x40000000 up. */
export const XEN_LAST_LEAF = XEN_CPUID_FIRST_LEAF + 5;

/** Values that RDMSR must agree with. */
export const POLICY_MSRS = {
  /** SCE, LME, LMA, NX. */
  efer: 0xd01n,
  eferAutoIbrs: 1n << 21n,
  patchLevel: 0x0a20_1210n,
} as const;
