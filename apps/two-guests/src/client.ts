import { firstDisk } from '@xenolith/blkback';
import type { KernelGuest } from '@xenolith/host';
import { firstInterface, Station } from '@xenolith/netback';

const BYTES = 256 << 10;

/** A guest that tries what it was given: whoever serves it. */
export async function client(guest: KernelGuest): Promise<void> {
  const { clock, console } = guest;
  const [disk, network] = await Promise.all([firstDisk(guest), firstInterface(guest)]);

  console.print(`a disk of ${disk.size >> 10} KiB, and a network interface ${network.mac}\n`);

  const written = Uint8Array.from({ length: BYTES }, (_, i) => i % 251);
  await disk.write(0, written);
  await disk.flush();
  const read = await disk.read(0, BYTES);
  const isSame = read.every((byte, i) => byte === written[i]);
  console.print(`${BYTES >> 10} KiB written and read: ${isSame ? 'the same' : 'DIFFERENT'}\n`);

  const station = new Station({ clock, mac: network.mac, address: '10.0.0.1', port: network });
  for (const address of ['10.0.0.254', '10.0.0.99']) {
    const answer = await station.ping(address);
    console.print(`ping ${address}: ${answer === undefined ? 'no answer' : 'answered'}\n`);
  }
}
