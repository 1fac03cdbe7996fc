/** What a crash report says of a vCPU's last moments. */
export interface RecentEvent {
  kind: 'hypercall' | 'trap' | 'emulate';
  /** Hypercall number or vector. */
  code: number;
  /** First argument, or the faulting address. */
  detail: bigint;
  rip: bigint;
}

const SIZE = 32;

/** A ring of the last 32 hypercalls and traps; recording allocates nothing. */
export class RecentEvents {
  private readonly kind = new Uint8Array(SIZE);
  private readonly code = new Uint32Array(SIZE);
  private readonly detail = new BigUint64Array(SIZE);
  private readonly rip = new BigUint64Array(SIZE);
  private next = 0;

  record(kind: 0 | 1 | 2, code: number, detail: bigint, rip: bigint): void {
    const i = this.next++ % SIZE;
    this.kind[i] = kind;
    this.code[i] = code;
    this.detail[i] = detail;
    this.rip[i] = rip;
  }

  /** Oldest first. */
  list(): RecentEvent[] {
    const out: RecentEvent[] = [];
    for (let n = Math.max(0, this.next - SIZE); n < this.next; n++) {
      const i = n % SIZE;
      out.push({
        kind: (['hypercall', 'trap', 'emulate'] as const)[this.kind[i]!]!,
        code: this.code[i]!,
        detail: this.detail[i]!,
        rip: this.rip[i]!,
      });
    }
    return out;
  }
}
