/**
 * A request of an unprivileged client: outstanding until its reply has been read, and by others all events that it has
 * caused. So a client that keeps others busy has to wait for them.
 */
export class RequestInFlight {
  private messages = 0;

  constructor(private readonly client: { outstandingBegins(): void; outstandingEnds(): void }) {}

  /** A message that it caused is queued. */
  hold(): void {
    if (this.messages++ === 0) this.client.outstandingBegins();
  }

  /** One has been read, or dropped. */
  release(): void {
    if (--this.messages === 0) this.client.outstandingEnds();
  }
}
