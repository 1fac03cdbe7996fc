import { median, ratio, table } from '../statistics.mjs';

/**
 * One line of the table of devices.
 * @typedef {object} Measured
 * @property {string} what
 * @property {string} unit
 * @property {number[]} ours one value a round
 * @property {number[] | undefined} [peer] what QEMU does; absent: it has no such thing
 * @property {boolean} [lessIsBetter] of times and sizes
 */

const short = (/** @type {number} */ value) => value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);

/**
 * Adds the values of a round to those of earlier ones.
 * @param {Map<string, number[]>} all @param {ReadonlyMap<string, number>} round
 */
export function collect(all, round) {
  for (const [name, value] of round) all.set(name, [...(all.get(name) ?? []), value]);
}

/** The table: medians, and how many times as good we are. @param {readonly Measured[]} lines @returns {string} */
export function comparisonTable(lines) {
  const rows = lines.map(({ what, unit, ours, peer, lessIsBetter = false }) => {
    const mine = median(ours);
    if (!peer || peer.length === 0) return [what, short(mine), '-', unit, '-'];
    const theirs = median(peer);
    return [
      what,
      short(mine),
      short(theirs),
      unit,
      `${ratio(lessIsBetter ? theirs / mine : mine / theirs)} x`,
    ];
  });
  return table([['devices', 'xenolith', 'QEMU TCG', 'unit', "xenolith's speed"], ...rows]);
}
