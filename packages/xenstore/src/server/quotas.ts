import { XENSTORE_REL_PATH_MAX } from '@xenolith/xen-abi';

/** Limits of unprivileged domains, by the names that the `quota` control command uses. */
export interface Quotas {
  /** Nodes that a domain owns. */
  nodes: number;
  /** Watches of a domain; one more than this can be set, as in xenstored. */
  watches: number;
  /** Transactions open at a time; one more than this can be, as in xenstored. */
  transactions: number;
  /** Requests whose reply, or an event that they caused, waits to be read, before no more are taken. */
  outstanding: number;
  /** Nodes that one transaction touches. */
  'transaction-nodes': number;
  /** Bytes that are held for a domain: its nodes, watches, transactions, and what it has not read. */
  memory: number;
  /** Bytes of a node as stored, exclusive. */
  'node-size': number;
  /** Bytes of a path, not counting `/local/domain/N/`. */
  'path-max': number;
  /** Entries of a node's permissions. */
  permissions: number;
}

/** What xenstored 4.17 starts with. */
export const defaultQuotas: Readonly<Quotas> = {
  nodes: 1000,
  watches: 128,
  transactions: 10,
  outstanding: 20,
  'transaction-nodes': 1024,
  memory: 2.5 * 1024 * 1024,
  'node-size': 2048,
  'path-max': XENSTORE_REL_PATH_MAX,
  permissions: 5,
};
