import { fileURLToPath } from 'node:url';
import { commandLine } from './command-line.mjs';
import { median, table } from './statistics.mjs';
import { firstByte } from './watch.mjs';

const hello = fileURLToPath(new URL('../../../packages/guest-kernels/images/hello.elf', import.meta.url));

/**
 * From process start to the first byte that a guest prints, beside a Node that prints one.
 * @param {number} rounds @returns {Promise<string>} what to print
 */
export async function measureFirstByte(rounds) {
  /** @type {number[]} */
  const ours = [];
  /** @type {number[]} */
  const node = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(await firstByte([process.execPath, commandLine, 'run', hello]));
    node.push(await firstByte([process.execPath, '-e', 'process.stdout.write("x")']));
  }
  return table([
    ['first byte', 'ms'],
    ['the hello guest', median(ours).toFixed(0)],
    ['Node alone', median(node).toFixed(0)],
  ]);
}
