import type { Clock } from '@xenolith/guest-api';

/** A packet of the largest size always fits. */
const MIN_BURST = 128 << 10;

/** Credit for bytes that is topped up at intervals: what the toolstack's `rate` node means. */
export class RateLimit {
  private credit: number;
  private toppedUp: number;

  constructor(
    private readonly clock: Clock,
    private readonly bytes: number,
    private readonly intervalNs: number,
  ) {
    this.credit = bytes;
    this.toppedUp = clock.now();
  }

  /** @param text `BYTES,MICROSECONDS`; anything else means no limit, as for Linux */
  static parse(text: string | undefined, clock: Clock): RateLimit | undefined {
    const [, bytes, us] = /^(\d{1,15}),(\d{1,10})$/.exec(text ?? '') ?? [];
    const limit = { bytes: Number(bytes), ns: Number(us) * 1000 };
    return limit.bytes > 0 && limit.ns > 0 ? new RateLimit(clock, limit.bytes, limit.ns) : undefined;
  }

  /** Takes credit for `bytes`. @returns 0; or, when there is not enough, in how many nanoseconds there is more */
  take(bytes: number): number {
    const now = this.clock.now();
    const times = Math.floor((now - this.toppedUp) / this.intervalNs);
    this.credit = Math.min(this.credit + times * this.bytes, Math.max(this.bytes, MIN_BURST));
    this.toppedUp += times * this.intervalNs;
    if (bytes > this.credit) return this.toppedUp + this.intervalNs - now;
    this.credit -= bytes;
    return 0;
  }
}
