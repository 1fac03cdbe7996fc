import type { Channel } from './channel.js';

/** How events reach a domain. Every method may assume a usable channel. */
export interface Delivery {
  /** Ports that the ABI can express. */
  readonly limit: number;
  setPending(channel: Channel, vcpu: number): void;
  clearPending(port: number): void;
  unmask(channel: Channel): void;
  isPending(port: number): boolean;
  isMasked(port: number): boolean;
  /** A closed port that cannot be given out yet: the guest still has to take it out of a queue. */
  isBusy?(port: number): boolean;
}

/**
 * Delivery to a domain whose kernel is TypeScript: no shared memory, one callback. An event that arrives while its
 * port is masked is kept and delivered on unmask.
 */
export class NativeDelivery implements Delivery {
  readonly limit = 4096;
  private readonly pending = new Set<number>();
  private readonly masked = new Set<number>();

  constructor(private readonly onEvent: (port: number) => void) {}

  setPending(channel: Channel): void {
    if (this.masked.has(channel.port)) this.pending.add(channel.port);
    else this.onEvent(channel.port);
  }

  clearPending(port: number): void {
    this.pending.delete(port);
    this.masked.delete(port);
  }

  mask(port: number): void {
    this.masked.add(port);
  }

  unmask(channel: Channel): void {
    this.masked.delete(channel.port);
    if (this.pending.delete(channel.port)) this.onEvent(channel.port);
  }

  isPending(port: number): boolean {
    return this.pending.has(port);
  }

  isMasked(port: number): boolean {
    return this.masked.has(port);
  }
}
