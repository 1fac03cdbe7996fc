import type { OwnPage, SharedMemory } from './memory.js';

/**
 * A page that another domain granted. It may go away at any time between two calls of its holder (the granter dies):
 * `live` tells, and a use after that throws an error. Holders ask `live` whenever they begin to work.
 */
export interface GrantMapping extends SharedMemory {
  readonly live: boolean;
  readonly readonly: boolean;
}

/** One end of a grant copy: the caller's own page (by gfn) or a granted one. */
export type GrantCopyEnd = { offset: number } & ({ gfn: number } | { domid: number; ref: number });

/** One grant copy, of at most the rest of either page. */
export interface GrantCopy {
  source: GrantCopyEnd;
  destination: GrantCopyEnd;
  length: number;
}

/** What a guest does with pages that others grant to it, and what it grants itself (grant_table.h). */
export interface Grants {
  /** @returns the mapping, or a negative `GNTST_*` */
  map(domid: number, ref: number, options?: { readonly?: boolean }): GrantMapping | number;
  /** Ends a mapping of this guest's; harmless if it has ended. */
  unmap(mapping: GrantMapping): void;
  /** @returns a `GNTST_*` */
  copy(request: GrantCopy): number;
  /**
   * Lets domain `domid` map or copy a page of this guest's.
   * @returns the grant ref, or −1 when the grant table is full
   */
  grantAccess(domid: number, page: OwnPage, options?: { readonly?: boolean }): number;
  /** Ends a grant of this guest's. @returns false while the other domain still uses it: then the grant stays */
  endAccess(ref: number): boolean;
}
