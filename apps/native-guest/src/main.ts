#!/usr/bin/env node
// The host of the operating system in kernel.ts: a disk (the tar archive that is named, or an empty one in memory), a
// network with one machine to ping, and this terminal as its console.
import { MemoryDevice } from '@xenolith/blkback';
import { FileDevice } from '@xenolith/blkback/node';
import { createHost } from '@xenolith/host';
import { Station } from '@xenolith/netback';
import { kernel } from './kernel.js';

const CTRL_D = Uint8Array.of(4);

let onRoom = () => {};
const path = process.argv[2];
const host = await createHost({ memoryMiB: 16 });
const guest = host.createNativeDomain({
  name: 'native',
  kernel,
  disks: [{ vdev: 'xvda', device: path ? await FileDevice.open(path) : new MemoryDevice(1 << 20) }],
  vifs: [{ mac: '00:16:3e:00:00:01' }],
  onConsole: (bytes) => process.stdout.write(bytes),
  onConsoleRoom: () => onRoom(),
});
const port = host.networks.bridge('xenbr0').addPort();
new Station({ clock: host.dom0.clock, mac: '00:16:3e:00:00:fe', address: '10.0.0.254', port });

/** Console input, as fast as the guest takes it. */
async function type(input: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const bytes of input) {
    for (let rest = bytes.subarray(guest.sendConsole(bytes)); rest.length > 0; ) {
      await new Promise<void>((resolve) => {
        onRoom = resolve;
      });
      rest = rest.subarray(guest.sendConsole(rest));
    }
  }
  guest.sendConsole(CTRL_D);
}

const { stdin } = process;
if (stdin.isTTY) stdin.setRawMode(true);
// It ends with the guest.
type(stdin).catch(() => {});
await host.run();
stdin.destroy();
const { reason, error } = await guest.ended;
if (reason !== 'poweroff') console.error(`The guest ended: ${error ?? reason}`);
process.exitCode = reason === 'poweroff' ? 0 : 1;
