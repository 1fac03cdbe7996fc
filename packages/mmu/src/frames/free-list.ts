/**
 * The free frames, as one bit a frame. Allocation is deterministic: always the lowest frame (or lowest aligned run) that
 * is free.
 */
export class FreeList {
  readonly #bits: Uint32Array;
  /** No word below this one has a free frame. */
  #low = 0;
  #free = 0;

  constructor(readonly frames: number) {
    this.#bits = new Uint32Array(Math.ceil(frames / 32));
  }

  get free(): number {
    return this.#free;
  }

  isFree(mfn: number): boolean {
    return (this.#bits[mfn >>> 5] & (1 << (mfn & 31))) !== 0;
  }

  add(mfn: number): void {
    this.#bits[mfn >>> 5] |= 1 << (mfn & 31);
    if (mfn >>> 5 < this.#low) this.#low = mfn >>> 5;
    this.#free++;
  }

  /** Takes the lowest free frame below `limit`; −1 when there is none. */
  take(limit = this.frames): number {
    const bits = this.#bits;
    let word = this.#low;
    while (word < bits.length && bits[word] === 0) word++;
    this.#low = word;
    if (word === bits.length) return -1;
    const value = bits[word];
    const mfn = word * 32 + 31 - Math.clz32(value & -value);
    if (mfn >= limit) return -1;
    this.#remove(mfn);
    return mfn;
  }

  /** Takes the lowest run of 2^order free frames that is aligned to its size and ends at or below `limit`; −1: none. */
  takeRun(order: number, limit = this.frames): number {
    if (order === 0) return this.take(limit);
    const size = 2 ** order;
    let start = Math.floor((this.#low * 32) / size) * size;
    for (; start + size <= limit; start += size) {
      let end = start;
      while (end < start + size && this.isFree(end)) end++;
      if (end < start + size) continue;
      for (let mfn = start; mfn < end; mfn++) this.#remove(mfn);
      return start;
    }
    return -1;
  }

  #remove(mfn: number): void {
    this.#bits[mfn >>> 5] &= ~(1 << (mfn & 31));
    this.#free--;
  }
}
