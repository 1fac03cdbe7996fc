import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandLine } from '../command-line.mjs';
import { guestResults } from '../watch.mjs';
import { collect } from './comparison.mjs';
import { GUEST_MIB, hasQemu, ioGuests, qemu } from './guests.mjs';

const RESULTS = [
  ['sequential-read', 'disk: sequential read, 1 MiB direct', 'MB/s'],
  ['sequential-write', 'disk: sequential write, 1 MiB direct', 'MB/s'],
  ['random-read', 'disk: random read, 4 KiB direct', 'requests/s'],
  ['random-write', 'disk: random write, 4 KiB direct', 'requests/s'],
  ['random-read-8', 'disk: random read, 8 processes', 'requests/s'],
  ['random-write-8', 'disk: random write, 8 processes', 'requests/s'],
];

/**
 * The disk of a Debian guest: xen-blkfront here, virtio_blk in QEMU, on the same file in memory.
 * @param {string} directory @param {{ rounds: number, mib: number, seconds: number }} size
 * @returns {Promise<{ lines: import('./comparison.mjs').Measured[], note?: string }>}
 */
export async function measureDisk(directory, { rounds, mib, seconds }) {
  const { guests, reason } = ioGuests(directory);
  if (!guests) return { lines: [], note: `The disk is skipped: ${reason}.` };
  const image = join(existsSync('/dev/shm') ? '/dev/shm' : directory, `xenolith-bench-${process.pid}.img`);
  const work = `work=disk mib=${mib} seconds=${seconds}`;
  const ours = [
    ...[process.execPath, commandLine, 'run', guests.vmlinuz, '--ramdisk', guests.xenRamdisk],
    ...[
      '--memory',
      String(GUEST_MIB),
      '--disk',
      `${image},raw,xvda,rw`,
      '--cmdline',
      `console=hvc0 quiet ${work}`,
    ],
  ];
  const theirs = qemu(guests, work, ['-drive', `file=${image},format=raw,if=virtio`]);
  const all = [{ command: ours, values: new Map() }];
  if (hasQemu()) all.push({ command: theirs, values: new Map() });
  try {
    for (let round = 0; round < rounds; round++) {
      for (const { command, values } of all) {
        writeFileSync(image, new Uint8Array(mib << 20));
        collect(values, await guestResults([command]));
      }
    }
  } finally {
    rmSync(image, { force: true });
  }
  return {
    lines: RESULTS.map(([name, what = '', unit = '']) => ({
      what,
      unit,
      ours: all[0]?.values.get(name) ?? [],
      peer: all[1]?.values.get(name),
    })),
  };
}
