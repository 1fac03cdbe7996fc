import { readFileSync } from 'node:fs';
import { MemoryDevice } from '@xenolith/blkback';
import { blkKernel } from '@xenolith/guest-kernels';
import { expect, it } from 'vitest';
import { TestHost } from '../src/testing.js';

/**
 * What the kernel `blk` printed as a domU of 16 MiB under Debian 12's Xen
 * (xen-hypervisor-4.17-amd64 4.17.7+13-g2445b30a44-0+deb12u1, in QEMU's emulation of a PC), with Linux's own xen-blkback in
 * domain 0 before a disk with the contents of `contents`.
 */
const REAL = readFileSync(new URL('../fixtures/blk.console.txt', import.meta.url), 'latin1');

const contents = Array.from(
  { length: 4096 },
  (_, i) => `block ${String(i).padStart(7, '0')}: the same in each run of this test, to be summed up\n`,
);
const disk = () => MemoryDevice.of(Buffer.from(contents.join('')).subarray(0, 1 << 18));

it('a guest with a small front end of a disk prints what it printed under real Xen', async () => {
  const device = disk();
  const test = await TestHost.create();
  const before = test.counts();
  const guest = test.boot(blkKernel, { disks: [{ vdev: 'xvda', device }] });
  await test.host.run();
  expect((await guest.guest.ended).reason).toBe('poweroff');
  expect(guest.output.split('\r\n')).toEqual(REAL.split(/\r?\n/));
  const written = await device.read(0, 1 << 16);
  expect(written.every((byte, at) => byte === (((at & 4095) * 7 + (at >> 12)) & 255))).toBe(true);
  // The first domain of a host leaves the directories of all.
  expect({ ...test.counts(), nodes: 0 }).toEqual({ ...before, nodes: 0 });
});

it('says so where it may not write, and where there is no disk', async () => {
  const test = await TestHost.create();
  const readonly = test.boot(blkKernel, { disks: [{ vdev: 'xvda', device: disk(), readonly: true }] });
  const without = test.boot(blkKernel);
  await test.host.run();
  expect(readonly.output).toMatch(
    /512 bytes, read-only\r\n.*write and flush: status -1\r\n.*blk: done\r\n$/s,
  );
  expect(without.output).toBe('blk: there is no disk\r\n');
});
