import type { StoredPermission, StoreNode } from '../store/node.js';
import type { ServerConnection } from './connection.js';
import type { Quotas } from './quotas.js';

/** What the server knows of a domain. */
export interface DomainRecord {
  readonly domid: number;
  /** The store's, when the domain became known: older permissions were meant for another with its number. */
  readonly generation: number;
  connection?: ServerConnection | undefined;
  shutdown: boolean;
  /** Nodes that it owns, not counting those of open transactions. */
  nodes: number;
  /** Bytes of these nodes and their paths. */
  nodeBytes: number;
}

/** The domains that the store has to do with: introduced ones, and those that permissions name. */
export class Domains {
  private readonly records = new Map<number, DomainRecord>();

  /** @param exists whether the host has a domain of that number */
  constructor(
    private readonly exists: (domid: number) => boolean,
    private readonly nextGeneration: () => number,
    private readonly quotas: Quotas,
  ) {}

  get(domid: number): DomainRecord | undefined {
    return this.records.get(domid);
  }

  /** The record, made if the host has such a domain. */
  find(domid: number): DomainRecord | undefined {
    return this.records.get(domid) ?? (this.exists(domid) ? this.add(domid) : undefined);
  }

  add(domid: number): DomainRecord {
    const record = { domid, generation: this.nextGeneration(), shutdown: false, nodes: 0, nodeBytes: 0 };
    this.records.set(domid, record);
    return record;
  }

  delete(domid: number): void {
    this.records.delete(domid);
  }

  /** Bytes that are held for a domain: its nodes, watches, transactions, and what it has not read. */
  memory(domid: number): number {
    const record = this.records.get(domid);
    return record ? record.nodeBytes + (record.connection?.memory ?? 0) : 0;
  }

  /** Whether a domain may have so many bytes more. Domain 0 always may. */
  fits(domid: number, bytes: number): boolean {
    return domid === 0 || this.memory(domid) + bytes < this.quotas.memory;
  }

  /** The node, with those permissions marked that name a domain which is gone (or another by now). */
  current(node: StoreNode): StoreNode {
    const stale = (p: StoredPermission, index: number) =>
      index > 0 && !p.ignored && !((this.records.get(p.domid)?.generation ?? Infinity) <= node.generation);
    if (!node.permissions.some(stale)) return node;
    const permissions = node.permissions.map((p, index) => (stale(p, index) ? { ...p, ignored: true } : p));
    return { ...node, permissions };
  }
}
