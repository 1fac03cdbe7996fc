import { fuzz } from './campaign.js';
import { TimedTrace } from './trace.js';

/** The command: runs seed after seed for so many seconds. @returns its exit status */
export async function main(options: {
  seconds: number;
  seed: number;
  steps: number;
  workLimit?: number;
}): Promise<number> {
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1000;
  const mebibytes = () => (process.memoryUsage().heapUsed / 2 ** 20).toFixed(0);
  const trace = new TimedTrace();
  const { finding, report } = await fuzz({
    ...options,
    trace,
    until: () => elapsed() >= options.seconds,
    progress: (line) => console.log(`${elapsed().toFixed(0)} s, heap ${mebibytes()} MiB, ${line}`),
  });
  console.log(report);
  console.log('The slowest hypercalls:');
  for (const { ms, call } of trace.slowest) console.log(`${ms.toFixed(1).padStart(7)} ms  ${call}`);
  return finding ? 1 : 0;
}
