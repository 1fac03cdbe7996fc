import { XenstoreError } from '../errors.js';
import {
  NO_GENERATION,
  type NodeContent,
  type StoredPermission,
  type StoreNode,
  storedSize,
} from '../store/node.js';
import type { Store } from '../store/store.js';
import type { Actor } from './actor.js';
import type { Domains } from './domains.js';
import type { Quotas } from './quotas.js';
import type { Charge, DirectView, NodeView } from './view.js';

interface AccessedNode {
  /** What the store had when the transaction first looked. */
  readonly original: StoreNode | undefined;
  /** What the transaction has now. */
  node: StoreNode | undefined;
  modified: boolean;
  /** An event to come on commit. */
  fire?: { exact: boolean };
}

/** A change that a commit made, for watches. */
export interface CommittedChange {
  path: string;
  exact: boolean;
  /** Who could see the node before. */
  oldPermissions: readonly StoredPermission[] | undefined;
}

/**
 * A transaction as xenstored 4.17 has it: a node is copied when it is first looked at; the commit succeeds if all these
 * nodes are still of the same generation in the store. So two transactions that touch the same node conflict, and
 * creating a child touches its parent.
 */
export class Transaction implements NodeView {
  private readonly accessed = new Map<string, AccessedNode>();
  private readonly counts = new Map<number, number>();
  /** Something that cannot be undone went wrong: the commit will fail. */
  private failed = false;
  private createdNodes = false;
  /** Bytes of its copies; xenstored keeps them under paths that begin with the transaction's generation. */
  bytes = 0;
  private readonly prefixLength: number;

  constructor(
    private readonly store: Store,
    private readonly direct: DirectView,
    private readonly domains: Domains,
    private readonly actor: Actor,
    private readonly quotas: Quotas,
  ) {
    this.prefixLength = String(store.nextGeneration()).length + 1;
  }

  read(path: string): StoreNode | undefined {
    return this.access(path).node;
  }

  write(path: string, node: NodeContent): void {
    const accessed = this.access(path);
    this.bytes += this.size(path, node) - this.size(path, accessed.node);
    accessed.node = { ...node, generation: this.store.nextGeneration() };
    accessed.modified = true;
  }

  delete(path: string): void {
    const accessed = this.access(path);
    this.bytes -= this.size(path, accessed.node);
    accessed.node = undefined;
    accessed.modified = true;
    this.store.nextGeneration();
  }

  charge(path: string, node: NodeContent): Charge {
    const given = this.size(path, this.accessed.get(path)?.node);
    return { domid: this.actor.domid, bytes: this.size(path, node) - given };
  }

  count(owner: number, change: 1 | -1): void {
    this.counts.set(owner, (this.counts.get(owner) ?? 0) + change);
  }

  /** Only what is there already counts until the commit. */
  roomForNodes(owned: number): boolean {
    this.createdNodes = true;
    return owned < this.quotas.nodes;
  }

  fail(): void {
    this.failed = true;
  }

  /** Notes an event for the commit. An event for the whole subtree takes the place of one for the node alone. */
  queueEvent(path: string, exact: boolean): void {
    const accessed = this.access(path);
    accessed.fire = { exact: exact && (accessed.fire?.exact ?? true) };
  }

  /**
   * Makes the changes, or none of them. @param committed is told of each one once it is made, others may not be yet
   * @throws XenstoreError EAGAIN on a conflict; ENOSPC beyond the owner's quota; ENOMEM after an earlier failure
   */
  commit(committed: (change: CommittedChange) => void): void {
    if (this.failed) throw new XenstoreError('ENOMEM');
    this.checkCounts();
    for (const [path, { original }] of this.accessed) {
      const generation = this.store.get(path)?.generation ?? NO_GENERATION;
      if (generation !== (original?.generation ?? NO_GENERATION)) throw new XenstoreError('EAGAIN');
    }
    for (const [path, { original, node, modified, fire }] of this.accessed) {
      if (!modified) continue;
      if (node) this.direct.write(path, node);
      else if (original) this.direct.delete(path);
      if (fire) committed({ path, exact: fire.exact, oldPermissions: original?.permissions });
    }
    for (const [owner, change] of this.counts) this.domains.get(owner)!.nodes += change;
  }

  private checkCounts(): void {
    for (const [owner, change] of this.counts) {
      const domain = this.domains.find(owner);
      if (!domain) throw new XenstoreError('ENOMEM', `There is no domain ${owner}.`);
      const limited = owner !== 0 && this.createdNodes && !this.actor.privileged;
      if (limited && domain.nodes + change >= this.quotas.nodes) throw new XenstoreError('ENOSPC');
    }
  }

  private access(path: string): AccessedNode {
    const known = this.accessed.get(path);
    if (known) return known;
    if (!this.actor.privileged && this.accessed.size >= this.quotas['transaction-nodes']) {
      this.failed = true;
      throw new XenstoreError('ENOSPC', 'The transaction touches too many nodes.');
    }
    const original = this.direct.read(path);
    const accessed = { original, node: original, modified: false };
    this.accessed.set(path, accessed);
    this.bytes += this.size(path, original);
    return accessed;
  }

  private size(path: string, node: NodeContent | undefined): number {
    return node ? storedSize(node) + path.length + this.prefixLength : 0;
  }
}
