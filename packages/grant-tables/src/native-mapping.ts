import { PageAccess, type PageMemory } from './page-access.js';

/** A use of a mapping that is gone: the backend kept it too long, or the granter died. Backends expect and catch it. */
export class GrantRevokedError extends Error {
  override name = 'GrantRevokedError';
}

/**
 * A granted page as a domain without page tables reaches it. JavaScript cannot take a view back, so every access asks
 * whether the mapping still stands.
 */
export class NativeMapping extends PageAccess {
  private alive = true;

  constructor(
    memory: PageMemory,
    view: DataView,
    readonly granter: number,
    readonly ref: number,
    /** The mapping's handle in the native domain. */
    readonly handle: number,
    mfn: number,
    readonly readonly: boolean,
  ) {
    super(memory, view, mfn);
  }

  /** False after unmapping and after the granter's death. */
  get live(): boolean {
    return this.alive;
  }

  /** For the grant tables only: ends the mapping. */
  revoke(): void {
    this.alive = false;
  }

  protected override check(write: boolean): void {
    if (!this.alive) {
      throw new GrantRevokedError(`Grant ${this.ref} of domain ${this.granter} is not mapped any more.`);
    }
    if (write && this.readonly) {
      throw new RangeError(`Grant ${this.ref} of domain ${this.granter} is mapped read-only.`);
    }
  }
}
