// Hello guests, all alive at once in one host: node run-hellos.mjs COUNT. Prints RESULT name value unit, then DONE.
import { helloKernel } from '@xenolith/guest-kernels';
import { createHost, loadKernel } from '@xenolith/host';

const MIB = 1 << 20;
/** Memory of each guest, of which it touches little. */
const GUEST_MIB = 8;

const count = Number(process.argv[2]);
const started = performance.now();
const host = await createHost({ memoryMiB: count * GUEST_MIB });
const kernel = loadKernel(helloKernel);
let lines = 0;
const guests = Array.from({ length: count }, () =>
  host.createDomain({
    kernel,
    memoryMiB: GUEST_MIB,
    onConsole: (bytes) => {
      lines += bytes.filter((byte) => byte === 10).length;
    },
  }),
);
const made = performance.now();
const resident = process.memoryUsage().rss;
for (const guest of guests) guest.unpause();
await host.run();
const ended = performance.now();
if (lines !== count) throw new Error(`${lines} of ${count} guests have said hello`);
const result = (/** @type {string} */ name, /** @type {number} */ value, /** @type {string} */ unit) =>
  console.log(`RESULT ${name} ${value.toFixed(2)} ${unit}`);
result(`make-${count}`, made - started, 'ms');
result(`run-${count}`, ended - made, 'ms');
result(`memory-${count}`, resident / MIB, 'MiB');
result(`most-${count}`, process.resourceUsage().maxRSS / 1024, 'MiB');
console.log('DONE');
