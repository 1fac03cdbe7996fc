import { firstDisk } from '@xenolith/blkback';
import type { KernelGuest } from '@xenolith/host';
import { firstInterface, Station } from '@xenolith/netback';
import { TarFiles } from './tar-files.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The operating system: a shell on the console, files on the disk, ping on the network. */
export async function kernel(guest: KernelGuest): Promise<void> {
  const { clock, console, xenstore } = guest;
  const [disk, network] = await Promise.all([firstDisk(guest), firstInterface(guest)]);
  const files = new TarFiles(disk);
  const address = '10.0.0.1';
  const station = new Station({ clock, mac: network.mac, address, port: network });

  const commands: Record<string, (...words: string[]) => string | Promise<string>> = {
    help: () => `${Object.keys(commands).join(' ')} poweroff`,
    ls: async () => [...(await files.list())].map(([name, { size }]) => `${size}\t${name}`).join('\n'),
    cat: async (name = '') => decoder.decode(await files.read(name)).trimEnd(),
    async write(name = '', ...words) {
      if (name === '') throw new Error('write FILE TEXT');
      await files.write(name, encoder.encode(`${words.join(' ')}\n`));
      return '';
    },
    ip: () => `${address} ${network.mac}`,
    async ping(to = '') {
      const ns = await station.ping(to);
      return ns === undefined ? `${to} does not answer` : `${to} answered in ${(ns / 1e6).toFixed(3)} ms`;
    },
    uptime: () => `${(clock.now() / 1e9).toFixed(3)} s`,
  };

  const name = await xenstore.read('name');
  console.print(`${name}: domain ${guest.domid}, a disk of ${disk.size >> 10} KiB. Type help.\n`);
  const halted = xenstore.wait('control/shutdown', (order) => order === 'poweroff').then(() => 'poweroff');
  for (;;) {
    const line = (await Promise.race([console.readLine('$ '), halted])) ?? 'poweroff';
    const [command = '', ...words] = line.trim().split(/\s+/);
    if (command === 'poweroff') return;
    if (command === '') continue;
    try {
      const run = Object.hasOwn(commands, command) ? commands[command] : undefined;
      if (!run) throw new Error('no such command');
      const output = await run(...words);
      if (output !== '') console.print(`${output}\n`);
    } catch (error) {
      console.print(`${command}: ${(error as Error).message}\n`);
    }
  }
}
