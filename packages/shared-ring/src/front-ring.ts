import type { RingMemory } from './ring-memory.js';
import { type RequestRingOptions, SharedSlots } from './slots.js';

/**
 * The frontend's end of a request/response ring (io/ring.h): puts requests, takes responses. A backend that claims
 * responses to requests that were never made leaves the ring `corrupt`.
 */
export class FrontRing {
  private readonly shared: SharedSlots;
  private reqProd = 0;
  private rspCons = 0;
  private broken = false;

  /** Initialises the shared page: only the frontend does. */
  constructor(memory: RingMemory, options: RequestRingOptions) {
    this.shared = new SharedSlots(memory, options);
    this.shared.init();
  }

  get size(): number {
    return this.shared.count;
  }

  get corrupt(): boolean {
    return this.broken;
  }

  /** Slots free for requests. */
  get free(): number {
    return this.size - ((this.reqProd - this.rspCons) >>> 0);
  }

  /** @returns false if the ring is full */
  put(request: Uint8Array): boolean {
    if (this.free === 0) return false;
    this.shared.write(this.reqProd, request);
    this.reqProd = (this.reqProd + 1) >>> 0;
    return true;
  }

  /** Publishes the requests. @returns whether the backend is to be notified */
  push(): boolean {
    return this.shared.publish('req', this.reqProd);
  }

  /** A copy of the next response's slot. */
  take(): Uint8Array | undefined {
    if (this.pending() === 0) return undefined;
    const slot = this.shared.read(this.rspCons);
    this.rspCons = (this.rspCons + 1) >>> 0;
    return slot;
  }

  /** Requests a notification for the next response and looks once more. @returns whether there is one */
  finalCheck(): boolean {
    if (this.pending() > 0) return true;
    if (this.broken) return false;
    this.shared.set('rsp_event', this.rspCons + 1);
    return this.pending() > 0;
  }

  private pending(): number {
    if (this.broken) return 0;
    const waiting = (this.shared.get('rsp_prod') - this.rspCons) >>> 0;
    // Xen's macro checks against the size; what is in flight is the tighter and the true bound.
    if (waiting > (this.reqProd - this.rspCons) >>> 0) {
      this.broken = true;
      return 0;
    }
    return waiting;
  }
}
