/**
 * Where things lie in machine memory: one WebAssembly memory, frame n at n << 12. The engine's own structures are frames
 * owned by the hypervisor at the bottom; domain frames follow. All addresses here are byte addresses in that memory.
 */
export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 4096;

/** Frame 0 is never given out, so that a null machine address is always a bug. */
export const PCPU_BASE = 0x1000;
export const PCPU_SIZE = 0x3000;

export const TLB_ENTRIES = 4096;
/** {i64 tag, i32 addend, i32 unused}; tag = page address | asid, so an all-ones tag never matches. */
export const TLB_ENTRY_SIZE = 16;
export const TLB_READ = 0x1_0000;
export const TLB_WRITE = TLB_READ + TLB_ENTRIES * TLB_ENTRY_SIZE;
/** Instruction fetch translations; addend is machine address minus linear address as in the others. */
export const TLB_EXEC = TLB_WRITE + TLB_ENTRIES * TLB_ENTRY_SIZE;
/** {i64 tag (rip ^ asid << 52), i32 record, i32 unused} */
export const JUMP_CACHE = TLB_EXEC + TLB_ENTRIES * TLB_ENTRY_SIZE;
/** Enough for the kernels of two guests that talk to each other; with a quarter of it a third more of their jumps are looked up. */
export const JUMP_CACHE_ENTRIES = 16384;
/** Engine-private area after the jump cache: block hash, record arena. */
export const CODE_CACHE = JUMP_CACHE + JUMP_CACHE_ENTRIES * 16;

/**
 * The frame table: one 32-byte entry a frame. `mmu/frames` is the only writer of the first 12 bytes; the code cache is
 * the only writer of the code fields.
 */
export const FRAME_ENTRY_SIZE = 32;
export const FRAME = {
  /** u32: bit 31 allocated (PGC_allocated), bits 0–30 general reference count. */
  count: 0,
  /** u32: bits 29–31 type, bit 28 pinned, bit 27 validated, bits 0–26 type count. */
  type: 4,
  /** u16: owner's domid. */
  owner: 8,
  /** u16: bit 0 readable by every domain (M2P), bit 1 holds decoded code. */
  flags: 10,
  /** u32: head of the list of decoded blocks that have bytes in this frame; 0 none. */
  codeBlocks: 12,
  /** u64: one bit for each 64-byte line that holds decoded code. */
  codeLines: 16,
  /** u32: while the frame has no type references, when it last lost them (the flush stamp of `mmu/frames`); else 0. */
  private: 24,
} as const;
export const FRAME_FLAG_PUBLIC = 1;
export const FRAME_FLAG_CODE = 2;
export const CODE_CACHE_SIZE = 0x200_0000;
export const FRAME_TABLE = CODE_CACHE + CODE_CACHE_SIZE;
