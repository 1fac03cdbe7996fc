import { PCPU_BASE } from './layout.js';

/**
 * The MMU's part of the physical CPU block: what a walk depends on and what it reports. Byte addresses in machine memory.
 */
const base = PCPU_BASE + 0x800;
export const MMU = {
  /** i32: machine address of the L4 table. */
  root: base,
  /** i64: address-space id, 0 … 4094, as it stands in TLB tags. */
  asid: base + 8,
  /** i32: domain whose frames may be reached. */
  domid: base + 16,
  /** i32: 1 for accesses at CPL 3. */
  user: base + 20,
  /** i32: 1 when supervisor writes respect read-only pages (CR0.WP). */
  writeProtect: base + 24,
  /** i32: exception vector of the last fault: 14 #PF, `FAULT_NOT_CANONICAL` or `FAULT_FOREIGN`. */
  faultVector: base + 28,
  /** i32: its error code; −1 when the exception has none. */
  faultCode: base + 32,
  /** i64: the faulting linear address (CR2). */
  faultAddress: base + 40,
  /** A write that `writeBegin` sent to the bounce buffer: i32 machine addresses and lengths of its one or two parts. */
  part1: base + 48,
  part1Length: base + 52,
  part2: base + 56,
  part2Length: base + 60,
  /** i32: first frame number that does not exist. */
  frames: base + 64,
  /** i32: 1 when the TLB may hold translations of large pages. */
  largePages: base + 68,
  /** i32: 1 while data accesses are watched: no translation for reading or writing is kept, and each access is told. */
  watching: base + 72,
  /** 64 bytes where accesses that cross a page, or that may hit decoded code, take place. */
  bounce: base + 0x80,
} as const;

/** `MMU.faultVector` when a translation leads to a frame that is neither the domain's nor granted to it. */
export const FAULT_FOREIGN = 256;

/** `MMU.faultVector` when an address is not canonical: #SS(0) for stack accesses, #GP(0) for others. */
export const FAULT_NOT_CANONICAL = 257;
