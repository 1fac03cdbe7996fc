import { PCPU_BASE } from '@xenolith/mmu';

/** Where the x86 state of the running vCPU lies (byte addresses). [`start`, `end`) is what a vCPU switch copies. */
export const STATE = {
  start: PCPU_BASE,
  /** i64 × 16: rax rcx rdx rbx rsp rbp rsi rdi r8 … r15 */
  gpr: PCPU_BASE,
  /** What CF comes from while the last operation was INC or DEC, which keep it: see flags.ts. */
  carryResult: PCPU_BASE + 0x80,
  carryOperand: PCPU_BASE + 0x88,
  carryKind: PCPU_BASE + 0xa0,
  fsBase: PCPU_BASE + 0x90,
  gsBase: PCPU_BASE + 0x98,
  /** The lazy flags: see flags.ts. */
  flagResult: PCPU_BASE + 0xb0,
  flagOperand: PCPU_BASE + 0xb8,
  flagKind: PCPU_BASE + 0xc0,
  flagBits: PCPU_BASE + 0xc4,
  /** i32: all other RFLAGS bits (TF IF DF IOPL NT RF VM AC VIF VIP ID). */
  systemFlags: PCPU_BASE + 0xc8,
  mxcsr: PCPU_BASE + 0xcc,
  /** u16: x87 control and status words, and one bit for each physical register that is in use. */
  fcw: PCPU_BASE + 0xd0,
  fsw: PCPU_BASE + 0xd2,
  ftw: PCPU_BASE + 0xd4,
  /** u16 × 6: ES CS SS DS FS GS */
  selectors: PCPU_BASE + 0xd8,
  /** i32: 1 in 64-bit code, 0 in 32-bit compatibility code. */
  long: PCPU_BASE + 0xe4,
  cpl: PCPU_BASE + 0xe8,
  /** i32: CR0.TS */
  taskSwitched: PCPU_BASE + 0xec,
  xmm: PCPU_BASE + 0x100,
  /** The physical x87 registers R0 … R7, 16 bytes each of which 10 count; MMX registers are their low 8. */
  x87: PCPU_BASE + 0x200,
  end: PCPU_BASE + 0x280,
} as const;

/** Operands and results of floating-point operations on their way to `float/` and back; no part of a vCPU's state. */
export const FLOAT = {
  /** 16 bytes each. */
  a: PCPU_BASE + 0xb00,
  b: PCPU_BASE + 0xb10,
  result: PCPU_BASE + 0xb20,
  /** i32: 1 after an operation that raised an exception which is not masked. */
  fault: PCPU_BASE + 0xb30,
} as const;

export const REG = { rax: 0, rcx: 1, rdx: 2, rbx: 3, rsp: 4, rbp: 5, rsi: 6, rdi: 7, r11: 11 } as const;
export const gprSlot = (register: number): number => STATE.gpr + 8 * register;
export const mmxSlot = (register: number): number => STATE.x87 + 16 * register;
export const xmmSlot = (register: number): number => STATE.xmm + 16 * register;

/** Bits of RFLAGS (Intel SDM volume 1, section 3.4.3). */
export const FLAG = {
  cf: 1,
  pf: 4,
  af: 0x10,
  zf: 0x40,
  sf: 0x80,
  tf: 0x100,
  if: 0x200,
  df: 0x400,
  of: 0x800,
  iopl: 0x3000,
  nt: 0x4000,
  rf: 0x1_0000,
  ac: 0x4_0000,
  id: 0x20_0000,
} as const;
export const ARITHMETIC_FLAGS = FLAG.cf | FLAG.pf | FLAG.af | FLAG.zf | FLAG.sf | FLAG.of;
