/** @param {readonly number[]} values not empty @returns {number} */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = /** @type {number} */ (sorted[middle]);
  return sorted.length % 2 ? upper : (upper + /** @type {number} */ (sorted[middle - 1])) / 2;
}

/**
 * Lines with columns that are as wide as their widest cell; the first column is text, the others are numbers.
 * @param {readonly (readonly string[])[]} rows @returns {string}
 */
export function table(rows) {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const line = (/** @type {readonly string[]} */ row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ');
  return rows.map((row) => line(row).trimEnd()).join('\n');
}

/** A ratio with two digits that say something: 0.034, 0.34, 3.4, 34. @param {number} value */
export const ratio = (value) => (value >= 10 ? value.toFixed(0) : value.toPrecision(2));
