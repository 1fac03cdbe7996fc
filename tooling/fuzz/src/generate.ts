import * as acts from './acts.js';
import { hypercall, multicall } from './calls.js';
import { instructions, returnAnywhere, wildStack } from './instructions.js';
import { CPUS, type Program, repair, type Step, start } from './program.js';
import { Random } from './random.js';

const ACTS: readonly (readonly [weight: number, act: acts.Act])[] = [
  [400, hypercall],
  [40, multicall],
  [60, acts.writeAnywhere],
  [50, acts.writePageTable],
  [60, acts.makeTable],
  [30, acts.linkTables],
  [40, acts.unpin],
  [30, acts.putBack],
  [10, acts.newRoot],
  [10, acts.baseOfUserMode],
  [50, acts.grantEntry],
  [40, acts.grantToSelf],
  [40, acts.wildRing],
  [50, acts.xenstoreRequest],
  [20, acts.rest],
  [20, acts.sharedInfo],
  [60, instructions],
  [2, wildStack],
  [30, returnAnywhere],
];

/** A program of about so many steps for vCPU 0, and fewer for others; the same for the same seed. */
export function generate(seed: number, steps: number): Program {
  const r = new Random(seed);
  const vcpus = r.weighted([
    [3, 1],
    [2, 2],
    [1, CPUS],
  ]);
  return Array.from({ length: vcpus }, (_, vcpu) => {
    const list: Step[] = [];
    const count = vcpu === 0 ? steps : Math.floor(steps / 4);
    for (let i = 0; i < count; i++) {
      const step = r.weighted(ACTS)(r);
      if (vcpu === 0 && i < 4 * (vcpus - 1) && i % 4 === 3) step.push(start((i + 1) / 4));
      // Handlers that lead to nowhere may stay for a while.
      if (r.oneIn(4)) step.push(repair);
      list.push(step);
    }
    return list;
  });
}
