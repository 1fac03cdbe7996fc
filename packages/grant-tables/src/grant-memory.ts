/**
 * The machine's memory as grants need it. A host implements this over its frame table; counts here are the frame
 * table's general references and its writable-type uses.
 */
export interface GrantMemory {
  /** Machine memory: frame n at n × 4096. */
  readonly bytes: Uint8Array;
  /**
   * Turns the frame number of a domain's grant entry, or of its own copy request, into a machine frame and takes a
   * general reference to it for `domid`. PV: the number is an mfn and must be the domain's own; translated: a gfn. It may
   * be any number up to 2^64.
   * @returns the mfn, or a negative GNTST (`GNTST_bad_page`, `GNTST_eagain`)
   */
  getFrame(domid: number, frame: number, readonly: boolean): number;
  /** One more general reference for the owner `domid`; false if it does not own the frame. */
  getPage(mfn: number, domid: number): boolean;
  putPage(mfn: number): void;
  /** A use as a writable page; false if the frame has another type (a page table). */
  getWritableType(mfn: number): boolean;
  putWritableType(mfn: number): void;
  /** Who owns a frame: undefined for the hypervisor's and for free ones, 'invalid' for a number that is no frame. */
  owner(mfn: number): number | undefined | 'invalid';
  /** A zeroed frame of the hypervisor's, shared with the domain, for its grant table; undefined when memory is out. */
  allocGrantFrame(domid: number): number | undefined;
  freeGrantFrame(domid: number, mfn: number): void;
  /** Whether the domain maps a frame of its grant table (or grants it to somebody). */
  isGrantFrameMapped(mfn: number): boolean;
  /**
   * Takes a frame away from its domain, for a transfer: nobody but the domain's allocation may hold it. `discardFrame` or
   * `giveFrame` must follow. @returns the mfn, or a negative GNTST (`GNTST_bad_page`, `GNTST_general_error`)
   */
  stealFrame(domid: number, frame: number): number;
  /** Frees a stolen frame. */
  discardFrame(mfn: number): void;
  /** Whether the domain takes a further frame: it is alive and has fewer than it may have. */
  takesFrame(domid: number): boolean;
  /** Gives a stolen frame with its contents to a domain that takes it, as its page `gfn`. */
  giveFrame(mfn: number, domid: number, gfn: number): void;
  /** Bytes of a guest's frame were changed from outside (decoded code there is stale). */
  wrote?(mfn: number, offset: number, length: number): void;
}

/** What makes and removes the mapper's side of a mapping: page-table entries (PV) or gfns (translated). */
export interface GrantMapper {
  /**
   * Writes the PTE at linear address or machine address `hostAddr` (`GNTMAP_contains_pte`), or maps the gfn. Takes no
   * reference: the grant's own is the mapping's. @returns a GNTST
   */
  map(domid: number, hostAddr: bigint, mfn: number, flags: number): number;
  /**
   * Checks that `hostAddr` maps `mfn` and clears it, or with `newAddr` ≠ 0 moves that address's entry there. Before the
   * domain runs again the host must forget all its stale translations. @returns a GNTST
   */
  unmap(domid: number, hostAddr: bigint, mfn: number, newAddr: bigint, flags: number): number;
  /** The domain did what Xen answers with `domain_crash`. */
  crash(domid: number, reason: string): void;
}
