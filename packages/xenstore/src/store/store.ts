import type { NodeContent, StoreNode } from './node.js';

/**
 * All nodes by path. Paths are flat keys and nodes are immutable: reading, writing and detecting conflicts cost the
 * same at any depth, and a transaction costs only what it touches.
 */
export class Store {
  private readonly nodes = new Map<string, StoreNode>();
  private current = 0;

  get size(): number {
    return this.nodes.size;
  }

  /** A number that grows with every write, start of a transaction, and new domain. */
  nextGeneration(): number {
    return ++this.current;
  }

  get(path: string): StoreNode | undefined {
    return this.nodes.get(path);
  }

  /** Writes a node with a generation of its own. That its parent lists it is the caller's duty. */
  set(path: string, node: NodeContent): void {
    const { value, children, permissions } = node;
    this.nodes.set(path, { value, children, permissions, generation: ++this.current });
  }

  delete(path: string): void {
    this.current++;
    this.nodes.delete(path);
  }

  /** Every path with its node, in no particular order. */
  entries(): IterableIterator<[string, StoreNode]> {
    return this.nodes.entries();
  }
}
