import type { FrameTable } from '@xenolith/mmu/frames';
import type { Work } from './work.js';

/**
 * References of page tables that were given up. The last one of a table means going through its entries, which may be the
 * last of other tables, and so on down: a list of what is left to do takes the place of recursion, so that it can stop
 * after any table and go on later.
 *
 * What is in the list *is* a reference and a type reference: until their turn comes, such tables stay validated, and every
 * rule holds as if they had not been given up yet. A domain does not run while its list has something in it
 * (`Hypervisor.run`), so it does not see the difference. The list is worked off from its end, depth first, and holds at
 * most the entries of three tables for each reference that was dropped from outside.
 */
export class DroppedTables {
  readonly #byOwner = new Map<number, number[]>();
  #isDraining = false;

  constructor(
    private readonly frames: FrameTable,
    private readonly work: Work,
  ) {}

  /** Takes over a reference and a type reference of a page table. Does as much at once as the limit of work allows. */
  drop(mfn: number): void {
    if (this.frames.typeReferences(mfn) > 1) {
      this.frames.putPageAndType(mfn);
      return;
    }
    const owner = this.frames.owner(mfn);
    const list = this.#byOwner.get(owner);
    if (list) list.push(mfn);
    else this.#byOwner.set(owner, [mfn]);
    if (!this.#isDraining) this.drain(owner);
  }

  /** The domain has given up tables that are not taken apart yet. */
  has(domid: number): boolean {
    return this.#byOwner.size > 0 && this.#byOwner.has(domid);
  }

  /** Takes the domain's tables apart until the limit of work is reached. */
  drain(domid: number): void {
    const list = this.#byOwner.get(domid);
    if (!list) return;
    this.#isDraining = true;
    try {
      while (!this.work.isEnough) {
        const mfn = list.pop();
        if (mfn === undefined) break;
        // The validator drops what its entries held.
        this.frames.putPageAndType(mfn);
      }
    } finally {
      this.#isDraining = false;
    }
    if (list.length === 0) this.#byOwner.delete(domid);
  }

  /** The references that are left, as frame numbers; for a recount. */
  *all(): Generator<number> {
    for (const list of this.#byOwner.values()) yield* list;
  }
}
