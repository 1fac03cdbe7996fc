import {
  type BlockDevice,
  type FrontDisk,
  firstDisk,
  HttpDevice,
  OverlayDevice,
  Qcow2Device,
} from '@xenolith/blkback';
import { createHost } from '@xenolith/host';

/** What a guest found on its disk; sums are SHA-256, in hexadecimal. */
export interface DiskRun {
  size: number;
  before: string;
  /** After it has written. */
  after: string;
}

/** What it writes, and where. */
export const WRITTEN = { offset: 8704, bytes: new Uint8Array(5632).fill(0x58) };
const AT_ONCE = 256 << 10;

/**
 * Guests with disks whose images are behind HTTP: they read all of them, and write, which goes into memory.
 * @param images addresses by the name of the run; those that end in `.qcow2` are of that format
 */
export async function runDisks(images: Readonly<Record<string, string>>): Promise<Record<string, DiskRun>> {
  const host = await createHost({ memoryMiB: 16 });
  const runs: Record<string, DiskRun> = {};
  const devices = Object.entries(images).map(async ([name, url]) => ({ name, device: await openImage(url) }));
  const guests = (await Promise.all(devices)).map(({ name, device }) =>
    host.createNativeDomain({
      name,
      disks: [{ vdev: 'xvda', device: new OverlayDevice(device) }],
      async kernel(guest) {
        const disk = await firstDisk(guest);
        const before = await sum(disk);
        await disk.write(WRITTEN.offset, WRITTEN.bytes);
        await disk.flush();
        runs[name] = { size: disk.size, before, after: await sum(disk) };
      },
    }),
  );
  await host.run();
  for (const guest of guests) {
    const { reason, error } = await guest.ended;
    if (reason !== 'poweroff') throw error;
  }
  return runs;
}

async function openImage(url: string): Promise<BlockDevice> {
  const file = await HttpDevice.open(url);
  return url.endsWith('.qcow2') ? Qcow2Device.open(file) : file;
}

async function sum(disk: FrontDisk): Promise<string> {
  const bytes = new Uint8Array(disk.size);
  for (let at = 0; at < disk.size; at += AT_ONCE) {
    bytes.set(await disk.read(at, Math.min(AT_ONCE, disk.size - at)), at);
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
