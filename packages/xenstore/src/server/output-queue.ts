import type { RequestInFlight } from './request-in-flight.js';

/** What is to be known of a message that waits, beside its bytes. */
export interface OutputOptions {
  /** Which event it is, if that need not wait twice. */
  once?: string | undefined;
  /** What it comes of, if that is counted. */
  request?: RequestInFlight | undefined;
  /** When it is dropped, if nothing of it has been sent by then. */
  due?: number | undefined;
}

interface Entry extends OutputOptions {
  bytes: Uint8Array;
}

/** What one connection has yet to be sent. Messages leave in order, and in pieces if the transport wants that. */
export class OutputQueue {
  private entries: Entry[] = [];
  private head = 0;
  private sent = 0;
  private readonly events = new Set<string>();
  private waiting = 0;

  /** Bytes that wait. */
  get bytes(): number {
    return this.waiting;
  }

  /** When the first message is to be dropped; those that are kept, and one that is partly sent, do not count. */
  get nextDue(): number | undefined {
    for (let i = this.head + (this.sent > 0 ? 1 : 0); i < this.entries.length; i++) {
      const { due } = this.entries[i]!;
      if (due !== undefined) return due;
    }
    return undefined;
  }

  /** @returns false if the same event waits already */
  push(bytes: Uint8Array, options: OutputOptions = {}): boolean {
    const { once, request } = options;
    if (once !== undefined) {
      if (this.events.has(once)) return false;
      this.events.add(once);
    }
    request?.hold();
    this.entries.push({ bytes, ...options });
    this.waiting += bytes.length;
    return true;
  }

  /** What is left of the first message. */
  peek(): Uint8Array | undefined {
    return this.entries[this.head]?.bytes.subarray(this.sent);
  }

  /** Takes bytes that `peek` gave. */
  consume(length: number): void {
    const entry = this.entries[this.head]!;
    this.sent += length;
    this.waiting -= length;
    if (this.sent < entry.bytes.length) return;
    this.sent = 0;
    this.head++;
    // Not at every message: moving a long array each time would be quadratic.
    if (this.head > 64 && this.head * 2 > this.entries.length) {
      this.entries = this.entries.slice(this.head);
      this.head = 0;
    }
    this.forget(entry);
  }

  /** Drops what is overdue; a message that is partly sent stays. */
  dropOverdue(now: number): void {
    const overdue: Entry[] = [];
    const kept = this.entries.slice(this.head).filter((entry, index) => {
      const drop = entry.due !== undefined && entry.due <= now && !(index === 0 && this.sent > 0);
      if (drop) overdue.push(entry);
      return !drop;
    });
    this.entries = kept;
    this.head = 0;
    for (const entry of overdue) {
      this.waiting -= entry.bytes.length;
      this.forget(entry);
    }
  }

  clear(): void {
    const dropped = this.entries.slice(this.head);
    this.entries = [];
    this.head = this.sent = this.waiting = 0;
    for (const entry of dropped) this.forget(entry);
  }

  private forget({ once, request }: Entry): void {
    if (once !== undefined) this.events.delete(once);
    request?.release();
  }
}
