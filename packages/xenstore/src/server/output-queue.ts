interface Entry {
  bytes: Uint8Array;
  isReply: boolean;
  /** Which event this is, if it is not to wait twice. */
  once: string | undefined;
}

/** What one connection has yet to be sent. Messages leave in order, and in pieces if the transport wants that. */
export class OutputQueue {
  private entries: Entry[] = [];
  private head = 0;
  private sent = 0;
  private readonly events = new Set<string>();
  private waiting = 0;
  private replyCount = 0;

  /** Bytes that wait. */
  get bytes(): number {
    return this.waiting;
  }

  /** Replies that wait. */
  get replies(): number {
    return this.replyCount;
  }

  pushReply(bytes: Uint8Array): void {
    this.replyCount++;
    this.push({ bytes, isReply: true, once: undefined });
  }

  /** @param once names the event if it need not wait twice @returns false if it waits already */
  pushEvent(bytes: Uint8Array, once: string | undefined): boolean {
    if (once !== undefined) {
      if (this.events.has(once)) return false;
      this.events.add(once);
    }
    this.push({ bytes, isReply: false, once });
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
    if (entry.isReply) this.replyCount--;
    if (entry.once !== undefined) this.events.delete(entry.once);
    this.head++;
    // Not at every message: moving a long array each time would be quadratic.
    if (this.head > 64 && this.head * 2 > this.entries.length) {
      this.entries = this.entries.slice(this.head);
      this.head = 0;
    }
  }

  clear(): void {
    this.entries = [];
    this.head = this.sent = this.waiting = this.replyCount = 0;
    this.events.clear();
  }

  private push(entry: Entry): void {
    this.entries.push(entry);
    this.waiting += entry.bytes.length;
  }
}
