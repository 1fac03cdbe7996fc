import { XenstoreError } from '../errors.js';
import type { StoreNode } from '../store/node.js';
import type { Store } from '../store/store.js';
import type { Domains } from './domains.js';
import type { Quotas } from './quotas.js';

export type NodeContent = Omit<StoreNode, 'generation'>;

/** The nodes as one request sees them: the store itself, or a transaction's copy of what it touched. */
export interface NodeView {
  read(path: string): StoreNode | undefined;
  write(path: string, node: NodeContent): void;
  delete(path: string): void;
  /** A node of this owner appeared (+1) or went (−1). */
  count(owner: number, change: 1 | -1): void;
  /** Whether a domain that owns so many nodes may create `added` ones. */
  roomForNodes(owned: number, added: number): boolean;
  /** A change was refused when part of it was made, which cannot be undone here. */
  fail(): void;
}

export class DirectView implements NodeView {
  constructor(
    private readonly store: Store,
    private readonly domains: Domains,
    private readonly quotas: Quotas,
  ) {}

  read(path: string): StoreNode | undefined {
    const node = this.store.get(path);
    return node && this.domains.current(node);
  }

  write(path: string, node: NodeContent): void {
    this.store.set(path, node);
  }

  delete(path: string): void {
    this.store.delete(path);
  }

  count(owner: number, change: 1 | -1): void {
    const domain = change > 0 ? this.domains.find(owner) : this.domains.get(owner);
    if (domain) domain.nodes += change;
    else if (change > 0) throw new XenstoreError('ENOMEM', `There is no domain ${owner}.`);
  }

  roomForNodes(owned: number, added: number): boolean {
    return owned + added <= this.quotas.nodes;
  }

  fail(): void {}
}
