interface Entry {
  bytes: Uint8Array;
  /** Which event this is; undefined for a reply. */
  event?: string;
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
    this.push({ bytes });
  }

  /** @returns false if the same event waits already */
  pushEvent(bytes: Uint8Array, event: string): boolean {
    if (this.events.has(event)) return false;
    this.events.add(event);
    this.push({ bytes, event });
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
    if (entry.event === undefined) this.replyCount--;
    else this.events.delete(entry.event);
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
