import type { Guest, OwnPage } from '@xenolith/guest-api';
import { XenbusError } from './errors.js';

const RETRY_NS = 10_000_000;
/** Ten seconds: a backend that has not let go by then never does. */
const TRIES = 1000;

/** A page of the guest's own with the grant by which the other end reaches it. */
export class GrantedBuffer {
  private constructor(
    private readonly guest: Guest,
    readonly page: OwnPage,
    readonly ref: number,
  ) {}

  /** @throws XenbusError when memory or the grant table is full */
  static allocate(guest: Guest, domid: number, options: { readonly?: boolean } = {}): GrantedBuffer {
    const page = guest.memory.allocate();
    if (!page) throw new XenbusError('ENOMEM', 'no page of memory is left');
    const ref = guest.grants.grantAccess(domid, page, options);
    if (ref >= 0) return new GrantedBuffer(guest, page, ref);
    guest.memory.free(page);
    throw new XenbusError('ENOMEM', 'no grant is left');
  }

  /**
   * Gives the page back. If the other end still uses it, the page waits until that lets go: memory that another domain
   * reaches must not be used for anything else.
   */
  free(tries = TRIES): void {
    if (this.guest.grants.endAccess(this.ref)) this.guest.memory.free(this.page);
    else if (tries > 0) this.guest.clock.after(RETRY_NS, () => this.free(tries - 1));
  }
}
