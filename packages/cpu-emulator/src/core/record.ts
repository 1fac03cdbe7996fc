import { CODE_CACHE, CODE_CACHE_SIZE, MMU, PCPU_BASE } from '@xenolith/mmu';

/**
 * Decoded code as the interpreter reads it: blocks of 32-byte records in the code cache.
 *
 *   block   0 maddr  4 mode  8 records  12 next in bucket  16 next in page  20 second page  24 next in second page
 *   record  0 handler  2 page offset  4 reg  6 rm or base  8 index  10 scale  11 length  12 disp
 *           16 immediate (i64)  24 link  28 aux
 *
 * `reg`, `rm`, `base` and `index` are addresses of register slots in the physical CPU block, so that a handler reads a
 * register with one load and needs no table.
 */
export const RECORD_SIZE = 32;
export const RECORD = {
  handler: 0,
  offset: 2,
  reg: 4,
  rm: 6,
  index: 8,
  scale: 10,
  length: 11,
  disp: 12,
  imm: 16,
  link: 24,
  aux: 28,
} as const;

export const BLOCK_SIZE = 32;
export const BLOCK = {
  address: 0,
  mode: 4,
  count: 8,
  nextInBucket: 12,
  nextInPage: 16,
  page2: 20,
  nextInPage2: 24,
} as const;

export const BUCKETS = 65536;
export const BUCKET_TABLE = CODE_CACHE;
export const ARENA = BUCKET_TABLE + BUCKETS * 4;
export const ARENA_END = CODE_CACHE + CODE_CACHE_SIZE;

/** The engine's own variables in the physical CPU block (byte addresses). */
const engine = PCPU_BASE + 0xa00;
export const ENGINE = {
  /** i32: instructions that may still be executed. */
  budget: engine,
  /** i64: linear address of the page that is executed; also a slot that RIP-relative operands use as their base. */
  pageBase: engine + 8,
  /** i64: where a jump from a cold handler goes. */
  nextRip: engine + 16,
  /** i64: instruction pointer when the interpreter is not running. */
  rip: engine + 24,
  /** i32: bumped when the whole code cache is dropped. */
  generation: engine + 32,
  /** i32: mode bits that decoded code depends on (its block's `mode`). */
  mode: engine + 36,
  /** i64: what a complex effective address leaves for the record behind it. */
  temp: engine + 40,
  /** i64: always 0; the base or index of addresses that have none. */
  zero: engine + 48,
  /** i32: the budget that this run started with. */
  runBudget: engine + 56,
  /** i64: time-stamp counter at the start of the run. */
  tsc: engine + 64,
  /** i32: PAUSEs still allowed before the run ends. */
  pauses: engine + 72,
  /** i32: bytes of the SYSCALL in front of which the run ended. */
  syscallLength: engine + 76,
  /** 64 bytes for a handler's own use. */
  scratch: engine + 128,
} as const;

/** What a cold handler returns. */
export const STATUS = {
  next: 0,
  /** The instruction faults: nothing of it is visible and it does not count. */
  fault: 1,
  /** Continue at `ENGINE.nextRip`. */
  jump: 2,
  /** The same record again (a REP that has iterations left); what was done counts. */
  again: 3,
  /** Leave the interpreter in front of this instruction, which does not count. */
  exit: 4,
  /** Leave the interpreter behind this instruction. */
  exitAfter: 5,
  /** As `exit`, in front of a SYSCALL: by far the most frequent, so that it is known without decoding it again. */
  syscall: 6,
} as const;

/** What the interpreter's `run` returns. */
export const RUN = { budget: 0, fault: 1, instruction: 2, pause: 3, syscall: 4 } as const;

/** Faults other than the MMU's are reported in its variables too. */
export const FAULT = { vector: MMU.faultVector, code: MMU.faultCode, address: MMU.faultAddress } as const;
