/** Entries of a maptrack frame: 4096 / 16. */
export const MAPTRACK_PER_FRAME = 256;
const NONE = -1;

/** A mapping that a domain holds, found by its handle. */
export interface MapEntry {
  granter: number;
  ref: number;
  /** `GNTMAP_*` that are still mapped; 0 when the handle is free. */
  flags: number;
}

/**
 * The handles of a domain's mappings: a free list for each vCPU, used from the head and refilled at the tail, with the
 * last one never used, so that handles come in the same order as Xen's (`get_maptrack_handle`). A domain out of frames
 * takes free handles from its other vCPUs; Xen begins with a random one, here it is the next.
 */
export class Maptrack {
  private readonly entries: MapEntry[] = [];
  private readonly next: number[] = [];
  private readonly home: number[] = [];
  private readonly head: number[];
  private readonly tail: number[];

  constructor(
    private readonly maxFrames: number,
    vcpus: number,
  ) {
    this.head = new Array<number>(vcpus).fill(NONE);
    this.tail = new Array<number>(vcpus).fill(NONE);
  }

  /** The entry of a handle that maps something, or undefined. */
  get(handle: number): MapEntry | undefined {
    const entry = this.entries[handle];
    return entry && entry.flags !== 0 ? entry : undefined;
  }

  *live(): Generator<[handle: number, entry: MapEntry]> {
    for (let h = this.entries.length - 1; h >= 0; h--) {
      const entry = this.entries[h]!;
      if (entry.flags) yield [h, entry];
    }
  }

  /** @returns a handle, or −1 when there is none left */
  allocate(vcpu: number): number {
    const own = this.pop(vcpu);
    if (own !== NONE) return own;
    if (this.entries.length / MAPTRACK_PER_FRAME < this.maxFrames) return this.addFrame(vcpu);
    if (this.tail[vcpu] === NONE) {
      const sentinel = this.steal(vcpu);
      if (sentinel === NONE) return NONE;
      this.next[sentinel] = NONE;
      this.head[vcpu] = this.tail[vcpu] = sentinel;
    }
    return this.steal(vcpu);
  }

  set(handle: number, entry: MapEntry): void {
    Object.assign(this.entries[handle]!, entry);
  }

  free(handle: number): void {
    this.entries[handle]!.flags = 0;
    this.next[handle] = NONE;
    const vcpu = this.home[handle]!;
    this.next[this.tail[vcpu]!] = handle;
    this.tail[vcpu] = handle;
  }

  private pop(vcpu: number): number {
    const head = this.head[vcpu]!;
    if (head === NONE) return NONE;
    const next = this.next[head]!;
    if (next === NONE) return NONE;
    this.head[vcpu] = next;
    return head;
  }

  private steal(vcpu: number): number {
    for (let i = 1; i <= this.head.length; i++) {
      const handle = this.pop((vcpu + i) % this.head.length);
      if (handle !== NONE) {
        this.home[handle] = vcpu;
        return handle;
      }
    }
    return NONE;
  }

  private addFrame(vcpu: number): number {
    const first = this.entries.length;
    const last = first + MAPTRACK_PER_FRAME - 1;
    for (let h = first; h <= last; h++) {
      this.entries.push({ granter: 0, ref: 0, flags: 0 });
      this.next.push(h + 1);
      this.home.push(vcpu);
    }
    if (this.tail[vcpu] === NONE) this.tail[vcpu] = last;
    this.next[last] = this.head[vcpu]!;
    this.head[vcpu] = first + 1;
    return first;
  }
}
