import { blockBackend, MemoryDevice } from '@xenolith/blkback';
import type { KernelGuest } from '@xenolith/host';
import { netBackend, Station, Switch } from '@xenolith/netback';
import { serveBackends } from '@xenolith/xenbus';

/** A driver domain: serves disks in its memory, and a network on which it is a machine itself. */
export async function server(guest: KernelGuest): Promise<void> {
  const { clock, console, xenstore } = guest;
  const network = new Switch({ clock });
  new Station({ clock, mac: '00:16:3e:00:00:fe', address: '10.0.0.254', port: network.addPort() });

  const disks = blockBackend(guest, {
    async open(end) {
      const bytes = await end.own.number('params');
      console.print(`domain ${end.otherId} gets a disk of ${bytes >> 10} KiB\n`);
      return new MemoryDevice(bytes);
    },
  });
  const interfaces = netBackend(guest, {
    async open(end) {
      console.print(`domain ${end.otherId} gets a network interface\n`);
      return network.addPort();
    },
  });
  const served = [disks, interfaces].map((driver) => serveBackends(guest, driver));

  await xenstore.wait('control/shutdown', (order) => order === 'poweroff');
  for (const each of served) await each.stop();
  console.print('nothing is left to do\n');
}
