import type { Children } from './children.js';
import type { Permission } from './permissions.js';

/** A permission as stored. An ignored one belongs to a domain that was gone when the node was last written or read. */
export interface StoredPermission extends Permission {
  readonly ignored?: boolean;
}

/** A node of the store. Never changed, only replaced, so that transactions can hold on to what they saw. */
export interface StoreNode {
  readonly value: Uint8Array;
  readonly children: Children;
  /** The owner first; never empty. */
  readonly permissions: readonly StoredPermission[];
  /** The store's generation when the node was last written; unique to that write. */
  readonly generation: number;
}

/** The generation of a node that does not exist. */
export const NO_GENERATION = -1;

/** A node before it is written. */
export type NodeContent = Omit<StoreNode, 'generation'>;

export function ownerOf(node: NodeContent): number {
  return node.permissions[0]!.domid;
}

/** Bytes of a node as xenstored 4.17 stores it, for its size limit: a header of 24, 8 a permission, value, children. */
export function storedSize(node: NodeContent): number {
  return 24 + 8 * node.permissions.length + node.value.length + node.children.bytes;
}
