import type { RingMemory } from './ring-memory.js';

/** Where one direction of a byte ring lies in its page. `size` is a power of two; indices run freely over 32 bits. */
export interface ByteRingLayout {
  data: number;
  size: number;
  cons: number;
  prod: number;
}

/**
 * One direction of a byte ring. Both indices are read once per call and believed only if they fit together: the other
 * end may write any index at any time. When they do not (`prod - cons` above the size), every method answers `null`
 * and touches nothing; what that means is for the protocol to say (xenstored drops the client, xenconsoled waits until
 * the guest mends it).
 */
export class ByteRing {
  constructor(
    private readonly memory: RingMemory,
    readonly layout: ByteRingLayout,
  ) {}

  /** Bytes that wait to be read. */
  used(): number | null {
    const { memory, layout } = this;
    const used = (memory.readU32(layout.prod) - memory.readU32(layout.cons)) >>> 0;
    return used > layout.size ? null : used;
  }

  /** Room for bytes to be written. */
  free(): number | null {
    const used = this.used();
    return used === null ? null : this.layout.size - used;
  }

  /** Consumer: takes up to `limit` bytes (all that wait, by default) and gives their room back. */
  read(limit = this.layout.size): Uint8Array | null {
    const { memory, layout } = this;
    const cons = memory.readU32(layout.cons);
    const used = (memory.readU32(layout.prod) - cons) >>> 0;
    if (used > layout.size) return null;
    const length = Math.min(used, limit);
    const start = cons & (layout.size - 1);
    const first = Math.min(length, layout.size - start);
    let out = memory.read(layout.data + start, first);
    if (first < length) {
      const head = out;
      out = new Uint8Array(length);
      out.set(head);
      out.set(memory.read(layout.data, length - first), first);
    }
    if (length > 0) memory.writeU32(layout.cons, (cons + length) >>> 0);
    return out;
  }

  /** Producer: writes as much of `data` as there is room for. @returns how many bytes that was */
  write(data: Uint8Array): number | null {
    const { memory, layout } = this;
    const prod = memory.readU32(layout.prod);
    const used = (prod - memory.readU32(layout.cons)) >>> 0;
    if (used > layout.size) return null;
    const length = Math.min(data.length, layout.size - used);
    const start = prod & (layout.size - 1);
    const first = Math.min(length, layout.size - start);
    memory.write(layout.data + start, data.subarray(0, first));
    if (first < length) memory.write(layout.data, data.subarray(first, length));
    if (length > 0) memory.writeU32(layout.prod, (prod + length) >>> 0);
    return length;
  }

  /** Empties the ring: both indices become 0. */
  reset(): void {
    this.memory.writeU32(this.layout.cons, 0);
    this.memory.writeU32(this.layout.prod, 0);
  }
}
