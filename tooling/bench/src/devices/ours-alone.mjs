import { fileURLToPath } from 'node:url';
import { guestResults } from '../watch.mjs';
import { collect } from './comparison.mjs';

const script = (/** @type {string} */ name) => fileURLToPath(new URL(`../../${name}`, import.meta.url));

/**
 * One line of the table for each result of one of our own programs, which has no peer.
 * @param {readonly { name: string, what: string, unit: string, lessIsBetter?: boolean }[]} results
 * @param {ReadonlyMap<string, number[]>} values
 * @returns {import('./comparison.mjs').Measured[]}
 */
const linesOf = (results, values) =>
  results.map(({ name, ...line }) => ({ ...line, ours: values.get(name) ?? [] }));

/** @param {readonly string[][]} programs each with its arguments @param {number} rounds */
async function runAll(programs, rounds) {
  /** @type {Map<string, number[]>} */
  const values = new Map();
  for (let round = 0; round < rounds; round++) {
    for (const [name = '', ...args] of programs)
      collect(values, await guestResults([[process.execPath, script(name), ...args]]));
  }
  return values;
}

const BACKENDS = [
  ['block-read', 'blkback alone: read 4 KiB, 32 at a time'],
  ['block-read-single', 'blkback alone: read 4 KiB, one at a time'],
  ['block-read-mapped', 'blkback alone: the same 32, grants not persistent'],
  ['block-write', 'blkback alone: write 4 KiB, 32 at a time'],
  ['block-read-44k', 'blkback alone: read 44 KiB, 32 at a time'],
  ['net-tx-1514', 'netback alone: frames of 1,514 bytes from the guest'],
  ['net-rx-1514', 'netback alone: frames of 1,514 bytes to the guest'],
  ['net-tx-64k', 'netback alone: frames of 64,000 bytes from the guest'],
  ['net-rx-64k', 'netback alone: frames of 64,000 bytes to the guest'],
].map(([name = '', what = '']) => ({ name, what, unit: '1/s' }));

/** The backends, driven by a frontend that is not emulated. @param {{ rounds: number, requests: number }} size */
export async function measureBackends({ rounds, requests }) {
  return linesOf(BACKENDS, await runAll([['run-backends.mjs', String(requests)]], rounds));
}

const EVENTS = [
  { name: 'events-guests', what: 'events: round trips between two guests', unit: '1/s' },
  { name: 'events-dom0', what: 'events: round trips between a guest and domain 0', unit: '1/s' },
];

/** Event channels. @param {{ rounds: number, trips: number }} size */
export async function measureEvents({ rounds, trips }) {
  const programs = ['guests', 'dom0'].map((peer) => ['run-events.mjs', peer, String(trips)]);
  return linesOf(EVENTS, await runAll(programs, rounds));
}

/** Many guests in one host. @param {{ rounds: number, counts: readonly number[] }} size */
export async function measureHellos({ rounds, counts }) {
  const values = await runAll(
    counts.map((count) => ['run-hellos.mjs', String(count)]),
    rounds,
  );
  const results = counts.flatMap((count) => [
    { name: `make-${count}`, what: `${count} hello guests: host and guests made`, unit: 'ms' },
    { name: `run-${count}`, what: `${count} hello guests: until all have ended`, unit: 'ms' },
    { name: `memory-${count}`, what: `${count} hello guests: memory of the process, all alive`, unit: 'MiB' },
    { name: `most-${count}`, what: `${count} hello guests: the most that it ever had`, unit: 'MiB' },
  ]);
  return linesOf(results, values);
}
