import { ownerOf } from '../store/node.js';
import { childPath, nameOf, parentOf } from '../store/path.js';
import type { Store } from '../store/store.js';
import type { Domains } from './domains.js';

/** What contradicts itself in the store, as lines for a reader; none in a healthy one. */
export function checkStore(store: Store, domains: Domains): string[] {
  const problems: string[] = [];
  const owned = new Map<number, number>();
  for (const [path, node] of store.entries()) {
    owned.set(ownerOf(node), (owned.get(ownerOf(node)) ?? 0) + 1);
    if (path !== '/' && !store.get(parentOf(path))?.children.includes(nameOf(path))) {
      problems.push(`${path} is not listed by its parent.`);
    }
    if (new Set(node.children).size !== node.children.length) problems.push(`${path} lists a child twice.`);
    for (const name of node.children) {
      if (!store.get(childPath(path, name))) problems.push(`${path} lists ${name}, which does not exist.`);
    }
  }
  for (const [owner, count] of owned) {
    const counted = domains.get(owner)?.nodes;
    if (counted !== count) problems.push(`Domain ${owner} owns ${count} nodes, but ${counted} are counted.`);
  }
  return problems;
}
