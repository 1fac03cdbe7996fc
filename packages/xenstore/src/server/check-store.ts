import { ownerOf } from '../store/node.js';
import { childPath } from '../store/path.js';
import type { Store } from '../store/store.js';
import type { Domains } from './domains.js';

/** What contradicts itself in the store, as lines for a reader; none in a healthy one. */
export function checkStore(store: Store, domains: Domains): string[] {
  const problems: string[] = [];
  const owned = new Map<number, number>();
  const listed = new Set(['/']);
  for (const [path, node] of store.entries()) {
    owned.set(ownerOf(node), (owned.get(ownerOf(node)) ?? 0) + 1);
    for (const name of node.children) {
      const child = childPath(path, name);
      if (listed.has(child)) problems.push(`${path} lists ${name} twice.`);
      if (!store.get(child)) problems.push(`${path} lists ${name}, which does not exist.`);
      listed.add(child);
    }
  }
  for (const [path] of store.entries()) {
    if (!listed.has(path)) problems.push(`${path} is not listed by its parent.`);
  }
  for (const [owner, count] of owned) {
    const counted = domains.get(owner)?.nodes;
    if (counted !== count) problems.push(`Domain ${owner} owns ${count} nodes, but ${counted} are counted.`);
  }
  return problems;
}
