/**
 * The cycles of a directed graph, one for every edge that closes one in a depth-first walk: none exactly if the graph
 * has none.
 * @param {Map<string, Iterable<string>>} edges
 * @returns {string[][]} each from a node back to itself, `['a', 'b', 'a']`
 */
export function findCycles(edges) {
  /** @type {Map<string, 'open' | 'done'>} */
  const state = new Map();
  /** @type {string[]} */
  const path = [];
  /** @type {string[][]} */
  const cycles = [];
  /** @param {string} node */
  const visit = (node) => {
    if (state.get(node) === 'done') return;
    if (state.get(node) === 'open') {
      cycles.push([...path.slice(path.indexOf(node)), node]);
      return;
    }
    state.set(node, 'open');
    path.push(node);
    for (const next of edges.get(node) ?? []) visit(next);
    path.pop();
    state.set(node, 'done');
  };
  for (const node of edges.keys()) visit(node);
  return cycles;
}
