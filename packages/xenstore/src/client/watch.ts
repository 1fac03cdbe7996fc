interface Waiter {
  resolve(result: IteratorResult<string, undefined>): void;
  reject(error: Error): void;
}

/**
 * A client's watch: an async iteration of the paths that changed. Events that nobody has asked for yet are kept, each
 * path once, so that a slow reader costs no more than the number of nodes.
 */
export class ClientWatch implements AsyncIterableIterator<string, undefined> {
  private readonly unread = new Set<string>();
  private readonly waiters: Waiter[] = [];
  private ended = false;
  private error: Error | undefined;

  /** @param unwatch tells the server */
  constructor(readonly unwatch: () => Promise<void>) {}

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<string, undefined>> {
    for (const path of this.unread) {
      this.unread.delete(path);
      return Promise.resolve({ done: false, value: path });
    }
    if (this.error) return Promise.reject(this.error);
    if (this.ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.waiters.push({ resolve, reject }));
  }

  async return(): Promise<IteratorResult<string, undefined>> {
    await this.close();
    return { done: true, value: undefined };
  }

  /** Ends the watch; iterations in progress end, too. */
  async close(): Promise<void> {
    if (this.ended) return;
    this.ended = true;
    this.unread.clear();
    for (const waiter of this.waiters.splice(0)) waiter.resolve({ done: true, value: undefined });
    await this.unwatch();
  }

  /** For the client: an event arrived. */
  push(path: string): void {
    if (this.ended) return;
    const waiter = this.waiters.shift();
    if (waiter) waiter.resolve({ done: false, value: path });
    else this.unread.add(path);
  }

  /** For the client: the watch was refused, or the connection is lost. */
  fail(error: Error): void {
    if (this.ended) return;
    this.ended = true;
    this.error = error;
    for (const waiter of this.waiters.splice(0)) waiter.reject(error);
  }
}
