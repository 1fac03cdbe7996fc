import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { HostInputs, TraceSink } from './index.js';

// biome-ignore format: as in the README
function example() {
/** A host whose time a test moves and whose randomness repeats. */
const clock = { ns: 0 };
const inputs: HostInputs = {
  monotonicNs: () => clock.ns,
  wallclockNs: () => 1_735_689_600_000_000_000n,
  randomFill: (bytes) => void bytes.fill(4),
};

/** Keeps hypercalls as lines, and costs one test for everything else. */
const lines: string[] = [];
const trace: TraceSink = {
  wants: (cls) => cls === 'hypercall',
  emit: ({ domid, name, result }) => lines.push(`d${domid} ${name} = ${result}`),
};
if (trace.wants('hypercall'))
  trace.emit({ class: 'hypercall', domid: 1, vcpu: 0, name: 'xen_version', result: 0x40011n });
return { inputs, lines, clock };
}

test('the README’s example does what it says', async () => {
  const { inputs, lines, clock } = example();
  expect(lines).toEqual(['d1 xen_version = 262161']);
  clock.ns = 5;
  expect(inputs.monotonicNs()).toBe(5);
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const block = /# @xenolith[\s\S]*?```ts\n([\s\S]*?)```/.exec(readme)?.[1];
  expect(block).toBeDefined();
  expect(readFileSync(new URL(import.meta.url), 'utf8')).toContain(block);
});
