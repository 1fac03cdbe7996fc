// Event round trips: node run-events.mjs guests|dom0 ROUNDS. Prints RESULT name value unit, then DONE.
import { pingpongKernel } from '@xenolith/guest-kernels';
import { createHost, loadKernel } from '@xenolith/host';

const [with_, rounds = ''] = process.argv.slice(2);
const host = await createHost({ memoryMiB: 32 });
const kernel = loadKernel(pingpongKernel);
let output = '';
const boot = (/** @type {string} */ cmdline) => {
  const guest = host.createDomain({
    kernel,
    cmdline,
    memoryMiB: 8,
    onConsole: (bytes) => {
      output += Buffer.from(bytes).toString('latin1');
    },
  });
  guest.unpause();
};
if (with_ === 'dom0') {
  const { eventChannels } = host.dom0;
  const { local } = host.xenstore;
  const port = eventChannels.allocUnbound(1);
  eventChannels.onEvent(port, () => void eventChannels.send(port));
  local.write('/local/domain/0/data/pingpong', String(port));
  local.setPermissions('/local/domain/0/data/pingpong', [{ domid: 0, access: 'r' }]);
  boot(`call 0 ${rounds}`);
} else {
  boot(`serve 2 ${rounds}`);
  boot(`call 1 ${rounds}`);
}
await host.run();
const [, count, ns] = /(\d+) round trips in (\d+) ns/.exec(output) ?? [];
if (count !== rounds) throw new Error(`no round trips: ${output}`);
console.log(`RESULT events-${with_} ${(Number(count) / (Number(ns) / 1e9)).toFixed(1)} 1/s`);
console.log('DONE');
