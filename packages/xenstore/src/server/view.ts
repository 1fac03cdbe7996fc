import { XenstoreError } from '../errors.js';
import { type NodeContent, ownerOf, type StoreNode, storedSize } from '../store/node.js';
import type { Store } from '../store/store.js';
import type { Domains } from './domains.js';
import type { Quotas } from './quotas.js';

/** Whose memory a write would take, and how many bytes more. */
export interface Charge {
  domid: number;
  bytes: number;
}

/** The nodes as one request sees them: the store itself, or a transaction's copy of what it touched. */
export interface NodeView {
  read(path: string): StoreNode | undefined;
  write(path: string, node: NodeContent): void;
  delete(path: string): void;
  /** What `write` would cost. */
  charge(path: string, node: NodeContent): Charge;
  /** A node of this owner appeared (+1) or went (−1). */
  count(owner: number, change: 1 | -1): void;
  /** Whether a domain that owns so many nodes may create `added` ones. */
  roomForNodes(owned: number, added: number): boolean;
  /** A change was refused when part of it was made, which cannot be undone here. */
  fail(): void;
}

/** Bytes that a node takes with its path. */
function bytesOf(path: string, node: NodeContent | undefined): number {
  return node ? storedSize(node) + path.length : 0;
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
    this.account(path, -1);
    this.store.set(path, node);
    this.account(path, 1);
  }

  delete(path: string): void {
    this.account(path, -1);
    this.store.delete(path);
  }

  charge(path: string, node: NodeContent): Charge {
    const domid = ownerOf(node);
    const old = this.store.get(path);
    const given = old && ownerOf(old) === domid ? bytesOf(path, old) : 0;
    return { domid, bytes: bytesOf(path, node) - given };
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

  private account(path: string, sign: 1 | -1): void {
    const node = this.store.get(path);
    const domain = node && this.domains.find(ownerOf(node));
    if (domain) domain.nodeBytes += sign * bytesOf(path, node);
  }
}
