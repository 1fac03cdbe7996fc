import type { GrantMapping, Grants } from '@xenolith/guest-api';
import { BadRequest } from './plan.js';

/**
 * A frontend's pages. With persistent grants the frontend uses the same ones again and again, so they stay mapped, the most
 * recently used `limit` of them; else each is mapped for one use.
 */
export class GrantCache {
  private readonly kept = new Map<number, GrantMapping>();

  constructor(
    private readonly grants: Grants,
    private readonly domid: number,
    /** Mappings to keep; 0: none. */
    private readonly limit: number,
  ) {}

  /** Mappings that are kept. */
  get size(): number {
    return this.kept.size;
  }

  /** Calls `work` with the page of a grant. @throws BadRequest if it cannot be mapped */
  use<T>(ref: number, readonly: boolean, work: (page: GrantMapping) => T): T {
    if (this.limit > 0) return work(this.keep(ref));
    const page = this.map(ref, readonly);
    try {
      return work(page);
    } finally {
      this.grants.unmap(page);
    }
  }

  /** Unmaps all. */
  close(): void {
    for (const page of this.kept.values()) this.grants.unmap(page);
    this.kept.clear();
  }

  private keep(ref: number): GrantMapping {
    let page = this.kept.get(ref);
    if (page) this.kept.delete(ref);
    else page = this.map(ref, false);
    this.kept.set(ref, page);
    if (this.kept.size > this.limit) {
      const [oldest, mapping] = this.kept.entries().next().value!;
      this.kept.delete(oldest);
      this.grants.unmap(mapping);
    }
    return page;
  }

  private map(ref: number, readonly: boolean): GrantMapping {
    const page = this.grants.map(this.domid, ref, { readonly });
    if (typeof page === 'number') throw new BadRequest(`grant ${ref} cannot be mapped: status ${page}`);
    return page;
  }
}
