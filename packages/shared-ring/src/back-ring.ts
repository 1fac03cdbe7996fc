import type { RingMemory } from './ring-memory.js';
import { type RequestRingOptions, SharedSlots } from './slots.js';

/**
 * The backend's end of a request/response ring (io/ring.h): takes requests, puts responses. What the slots mean is the
 * caller's. Its own indices are private; of the shared ones it believes only a producer that stays in bounds. A ring
 * whose frontend broke that rule is `corrupt` for good and gives no more requests.
 */
export class BackRing {
  private readonly shared: SharedSlots;
  private reqCons: number;
  private rspProd: number;
  private broken = false;

  /** Attaches to a ring that its frontend has initialised, going on where an earlier backend stopped. */
  constructor(memory: RingMemory, options: RequestRingOptions) {
    this.shared = new SharedSlots(memory, options);
    this.rspProd = this.reqCons = this.shared.get('rsp_prod');
  }

  /** Slots of the ring. */
  get size(): number {
    return this.shared.count;
  }

  /** The frontend claimed more requests than there are slots (RING_REQUEST_PROD_OVERFLOW). */
  get corrupt(): boolean {
    return this.broken;
  }

  /** Requests taken and not answered. */
  get inFlight(): number {
    return (this.reqCons - this.rspProd) >>> 0;
  }

  /** A copy of the next request's slot; undefined if there is none or all slots wait for their response. */
  take(): Uint8Array | undefined {
    return this.pending() === 0 ? undefined : this.shared.read(this.reqCons++);
  }

  /**
   * To be asked when `take` gave nothing: requests a notification for the next request and looks once more.
   * @returns whether there is work after all (RING_FINAL_CHECK_FOR_REQUESTS)
   */
  finalCheck(): boolean {
    if (this.pending() > 0) return true;
    if (this.broken) return false;
    this.shared.set('req_event', this.reqCons + 1);
    return this.pending() > 0;
  }

  /** Puts a response, of at most a slot's size, into the next slot; the frontend sees it after `push`. */
  put(response: Uint8Array): void {
    if (this.inFlight === 0) throw new RangeError('A response without a request.');
    this.shared.write(this.rspProd, response);
    this.rspProd = (this.rspProd + 1) >>> 0;
  }

  /** Publishes the responses. @returns whether the frontend is to be notified */
  push(): boolean {
    return this.shared.publish('rsp', this.rspProd);
  }

  private pending(): number {
    if (this.broken) return 0;
    this.reqCons >>>= 0;
    const prod = this.shared.get('req_prod');
    const claimed = (prod - this.rspProd) >>> 0;
    const waiting = (prod - this.reqCons) >>> 0;
    // Behind what was taken already, or more than fits: either way the frontend lies.
    if (claimed > this.size || waiting > this.size) {
      this.broken = true;
      return 0;
    }
    return Math.min(waiting, this.size - this.inFlight);
  }
}
