import { FRAME, FRAME_FLAG_CODE, type MachineMemory, PAGE_SIZE } from '@xenolith/mmu';
import {
  ARENA,
  ARENA_END,
  BLOCK,
  BLOCK_SIZE,
  BUCKET_TABLE,
  BUCKETS,
  ENGINE,
  RECORD,
  RECORD_SIZE,
} from './record.js';

/**
 * The blocks of decoded code in machine memory: where they are found (buckets by machine address), and which page's
 * bytes they were decoded from (a list a page, so that a write can drop them). Memory is taken from an arena that is
 * emptied at once when it is full.
 */
export class CodeCache {
  #next = ARENA;
  /** Frames with decoded code, to be told when everything is dropped. */
  readonly #frames = new Set<number>();

  /**
   * @param stale number of the handler that looks the code up again
   * @param onProtect told the machine address of a page when it first gets decoded code: no TLB may write to it any more
   * @param onDrop told when everything was dropped: nothing may lead to old records any more
   */
  constructor(
    readonly machine: MachineMemory,
    readonly stale: number,
    readonly onProtect: (page: number) => void,
    readonly onDrop: () => void,
  ) {}

  /** Makes room for a block of up to `records` records and returns its address. Drops everything when there is none. */
  reserve(records: number): number {
    if (this.#next + BLOCK_SIZE + records * RECORD_SIZE > ARENA_END) this.dropAll();
    return this.#next;
  }

  /**
   * Enters the block at `block`, whose records are written.
   *
   * @param ranges the one or two pieces of machine memory (in different pages) that it was decoded from
   */
  enter(
    block: number,
    mode: number,
    records: number,
    ranges: readonly { start: number; length: number }[],
  ): void {
    const { u32 } = this.machine;
    const at = block >> 2;
    const address = ranges[0]!.start;
    u32[at + BLOCK.address / 4] = address;
    u32[at + BLOCK.mode / 4] = mode;
    u32[at + BLOCK.count / 4] = records;
    const bucket = this.#bucket(address);
    u32[at + BLOCK.nextInBucket / 4] = u32[bucket]!;
    u32[bucket] = block;
    u32[at + BLOCK.page2 / 4] = 0;
    for (const [i, range] of ranges.entries()) this.#protect(block, i === 1, range);
    this.#next = block + BLOCK_SIZE + records * RECORD_SIZE;
  }

  #bucket(address: number): number {
    return (BUCKET_TABLE >> 2) + ((address ^ (address >>> 16)) & (BUCKETS - 1));
  }

  /** Links a block into its page's list (a set lowest bit says: through the block's second link). */
  #protect(block: number, second: boolean, range: { start: number; length: number }): void {
    const { u32, view } = this.machine;
    const mfn = range.start >>> 12;
    const entry = this.machine.entry(mfn);
    const head = (entry + FRAME.codeBlocks) >> 2;
    u32[(block + (second ? BLOCK.nextInPage2 : BLOCK.nextInPage)) >> 2] = u32[head]!;
    u32[head] = block | Number(second);
    if (second) u32[(block + BLOCK.page2) >> 2] = range.start;
    for (let line = (range.start >> 6) & 63; line <= (((range.start + range.length - 1) >> 6) & 63); line++) {
      const word = (entry + FRAME.codeLines + (line >= 32 ? 4 : 0)) >> 2;
      u32[word] = u32[word]! | (1 << (line & 31));
    }
    const flags = view.getUint16(entry + FRAME.flags, true);
    if (flags & FRAME_FLAG_CODE) return;
    view.setUint16(entry + FRAME.flags, flags | FRAME_FLAG_CODE, true);
    this.#frames.add(mfn);
    this.onProtect(mfn * PAGE_SIZE);
  }

  /** Drops every block of the pages that [address, address + length) touches. */
  written(address: number, length: number): void {
    for (let mfn = address >>> 12; mfn <= (address + length - 1) >>> 12; mfn++) {
      if (this.#frames.has(mfn)) this.#dropPage(mfn);
    }
  }

  #dropPage(mfn: number): void {
    const { u32 } = this.machine;
    let link = u32[(this.machine.entry(mfn) + FRAME.codeBlocks) >> 2]!;
    while (link !== 0) {
      const block = link & ~1;
      link = u32[(block + (link & 1 ? BLOCK.nextInPage2 : BLOCK.nextInPage)) >> 2]!;
      this.#dropBlock(block);
    }
    this.#unprotect(mfn);
  }

  /** Every record leads to a new look-up: the block may be running, and others have links into it. */
  #dropBlock(block: number): void {
    const { u32, view } = this.machine;
    const address = u32[(block + BLOCK.address) >> 2]!;
    // A block in two pages may have been dropped through the other one.
    if (address === 0) return;
    let at = this.#bucket(address);
    while (u32[at] !== block) at = (u32[at]! + BLOCK.nextInBucket) >> 2;
    u32[at] = u32[(block + BLOCK.nextInBucket) >> 2]!;
    u32[(block + BLOCK.address) >> 2] = 0;
    const count = u32[(block + BLOCK.count) >> 2]!;
    for (let i = 0; i < count; i++) {
      const record = block + BLOCK_SIZE + i * RECORD_SIZE;
      view.setUint16(record + RECORD.handler, this.stale, true);
      u32[(record + RECORD.link) >> 2] = 0;
    }
  }

  #unprotect(mfn: number): void {
    const { u32, view } = this.machine;
    const entry = this.machine.entry(mfn);
    u32[(entry + FRAME.codeBlocks) >> 2] = 0;
    u32[(entry + FRAME.codeLines) >> 2] = 0;
    u32[(entry + FRAME.codeLines + 4) >> 2] = 0;
    view.setUint16(entry + FRAME.flags, view.getUint16(entry + FRAME.flags, true) & ~FRAME_FLAG_CODE, true);
    this.#frames.delete(mfn);
  }

  dropAll(): void {
    const { u32 } = this.machine;
    for (const mfn of this.#frames) this.#unprotect(mfn);
    u32.fill(0, BUCKET_TABLE >> 2, ARENA >> 2);
    u32[ENGINE.generation >> 2] = u32[ENGINE.generation >> 2]! + 1;
    this.#next = ARENA;
    this.onDrop();
  }
}
