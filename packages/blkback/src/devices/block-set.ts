/** Numbers of one chunk: 4 KiB of memory. */
const CHUNK = 32_768;
/** All chunks that are full are this one. */
const FULL = new Uint8Array(CHUNK / 8).fill(0xff);

/** A set of numbers, a bit each, that takes memory only where there are some and others are missing. */
export class BlockSet {
  private readonly chunks = new Map<number, Uint8Array>();

  has(n: number): boolean {
    const bits = this.chunks.get(Math.floor(n / CHUNK));
    return bits !== undefined && (bits[(n % CHUNK) >> 3]! & (1 << (n & 7))) !== 0;
  }

  /** Adds the numbers from `first` on and below `end`. */
  add(first: number, end = first + 1): void {
    for (let n = first; n < end; ) {
      const index = Math.floor(n / CHUNK);
      const next = Math.min(end, (index + 1) * CHUNK);
      if (next - n === CHUNK) this.chunks.set(index, FULL);
      else this.fill(index, n % CHUNK, next - index * CHUNK);
      n = next;
    }
  }

  clear(): void {
    this.chunks.clear();
  }

  get size(): number {
    let count = 0;
    for (const { first, end } of this.runs()) count += end - first;
    return count;
  }

  /** The numbers in their order, as runs from `first` on and below `end`; none goes beyond a chunk. */
  *runs(): Generator<{ first: number; end: number }> {
    for (const index of [...this.chunks.keys()].sort((a, b) => a - b)) {
      const limit = (index + 1) * CHUNK;
      for (let first = index * CHUNK; first < limit; first++) {
        if (!this.has(first)) continue;
        let end = first + 1;
        while (end < limit && this.has(end)) end++;
        yield { first, end };
        first = end;
      }
    }
  }

  private fill(index: number, from: number, to: number): void {
    const bits = this.chunks.get(index) ?? new Uint8Array(CHUNK / 8);
    if (bits === FULL) return;
    this.chunks.set(index, bits);
    for (let bit = from; bit < to; bit++) bits[bit >> 3]! |= 1 << (bit & 7);
  }
}
