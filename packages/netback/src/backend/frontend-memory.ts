import type { Guest, OwnPage } from '@xenolith/guest-api';
import { GNTST_okay } from '@xenolith/xen-abi';

/** A frontend's granted pages, reached by grant copies through a page of our own, as the protocol wants it. */
export class FrontendMemory {
  constructor(
    private readonly guest: Guest,
    private readonly domid: number,
    private readonly page: OwnPage,
  ) {}

  /** Bytes of a granted page, which has so many. @returns undefined if it cannot be read */
  read(ref: number, offset: number, length: number): Uint8Array | undefined {
    if (length === 0) return new Uint8Array(0);
    const source = { domid: this.domid, ref, offset };
    const destination = { gfn: this.page.gfn, offset: 0 };
    const status = this.guest.grants.copy({ source, destination, length });
    return status === GNTST_okay ? this.page.read(0, length) : undefined;
  }

  /** Writes at the start of a granted page. @returns whether it could be written */
  write(ref: number, data: Uint8Array): boolean {
    if (data.length === 0) return true;
    this.page.write(0, data);
    const source = { gfn: this.page.gfn, offset: 0 };
    const destination = { domid: this.domid, ref, offset: 0 };
    return this.guest.grants.copy({ source, destination, length: data.length }) === GNTST_okay;
  }
}
