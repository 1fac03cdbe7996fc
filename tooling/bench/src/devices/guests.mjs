import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unpackKernel } from '@xenolith/domain-builder';
import { busyboxInitramfs, debianPieces, moduleEntries } from '@xenolith-tooling/debian';
import { isInstalled } from '../programs.mjs';

/**
 * Debian's kernel with one userland for either machine; only the drivers differ.
 * @typedef {object} IoGuests
 * @property {string} vmlinuz for us
 * @property {string} xenRamdisk
 * @property {string} vmlinux unpacked, for QEMU, which would unpack it by emulated instructions
 * @property {string} virtioRamdisk
 */

const guest = (/** @type {string} */ name) => fileURLToPath(new URL(`../../guest/${name}`, import.meta.url));

/**
 * @param {string} directory for what is made
 * @returns {{ guests: IoGuests, reason?: undefined } | { guests?: undefined, reason: string }}
 */
export function ioGuests(directory) {
  const compiler = ['gcc', 'clang'].find(isInstalled);
  if (compiler === undefined) return { reason: 'there is no C compiler (Debian: apt install gcc libc6-dev)' };
  const { pieces, reason } = debianPieces();
  if (pieces === undefined) return { reason };
  const program = join(directory, 'io');
  execFileSync(compiler, ['-O2', '-static', '-o', program, guest('io/io.c')]);
  const io = { type: /** @type {const} */ ('file'), path: 'io', mode: 0o755, data: readFileSync(program) };
  const ramdisk = (/** @type {string} */ name, /** @type {string[]} */ modules) => {
    const file = join(directory, name);
    const entries = [io, ...moduleEntries(pieces.modules, modules)];
    writeFileSync(file, busyboxInitramfs(pieces.busybox, readFileSync(guest('init-io')), entries));
    return file;
  };
  const vmlinux = join(directory, 'vmlinux');
  writeFileSync(vmlinux, unpackKernel(readFileSync(pieces.vmlinuz)).image);
  return {
    guests: {
      vmlinuz: pieces.vmlinuz,
      xenRamdisk: ramdisk('xen.gz', ['xen-blkfront', 'xen-netfront']),
      vmlinux,
      virtioRamdisk: ramdisk('virtio.gz', ['virtio_pci', 'virtio_blk', 'virtio_net']),
    },
  };
}

/** Memory of each guest. */
export const GUEST_MIB = 256;

/**
 * QEMU with one thread of TCG. @param {IoGuests} guests @param {string} work for the kernel's command line
 * @param {readonly string[]} devices @returns {string[]}
 */
export const qemu = (guests, work, devices) => [
  ...['qemu-system-x86_64', '-accel', 'tcg,thread=single', '-m', String(GUEST_MIB), '-display', 'none'],
  ...['-serial', 'stdio', '-monitor', 'none', '-no-reboot', '-kernel', guests.vmlinux],
  ...['-initrd', guests.virtioRamdisk, '-append', `console=ttyS0 quiet ${work}`, ...devices],
];

export const hasQemu = () => isInstalled('qemu-system-x86_64');
