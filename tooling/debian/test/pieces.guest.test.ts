import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { debianPieces } from '../src/index.mjs';

const { pieces, reason } = debianPieces();

describe.skipIf(pieces === undefined)(`Debian's pieces (${reason ?? 'found'})`, () => {
  it.each(['vmlinuz', 'cloudVmlinuz'] as const)('%s is a bzImage', (name) => {
    // Linux's boot protocol (Documentation/arch/x86/boot.rst): the magic at 0x202, boot_flag at 0x1fe.
    const image = readFileSync(pieces![name]);
    expect(image.toString('latin1', 0x202, 0x206)).toBe('HdrS');
    expect(image.readUInt16LE(0x1fe)).toBe(0xaa55);
  });

  it.each(['grub', 'busybox', 'xenstored'] as const)('%s is an ELF for x86-64', (name) => {
    const image = readFileSync(pieces![name]);
    expect([...image.subarray(0, 5)]).toEqual([0x7f, 0x45, 0x4c, 0x46, 2]);
    expect(image.readUInt16LE(18)).toBe(62);
  });

  it('initrd holds the yardstick, a shell and its console', () => {
    const archive = gunzipSync(readFileSync(pieces!.initrd));
    for (const text of ['BENCH-DONE', 'bin/sh\0', 'bin/poweroff\0', 'dev/console\0', 'TRAILER!!!\0']) {
      expect(archive.includes(text), text).toBe(true);
    }
  });

  it('rootInitrd holds the disk driver and ext4, with what they need', () => {
    const archive = gunzipSync(readFileSync(pieces!.rootInitrd));
    for (const text of [
      'switch_root',
      'modules/xen-blkfront.ko\0',
      'modules/ext4.ko\0',
      'modules/jbd2.ko\0',
    ]) {
      expect(archive.includes(text), text).toBe(true);
    }
  });

  it('tools are programs with their libraries', () => {
    const archive = gunzipSync(readFileSync(pieces!.tools));
    for (const name of [
      'sbin/ethtool',
      'usr/bin/openssl',
      'lib64/ld-linux-x86-64.so.2',
      'lib/x86_64-linux-gnu/libc.so.6',
      'usr/lib/x86_64-linux-gnu/libcrypto.so.3',
    ])
      expect(archive.includes(`${name}\0`), name).toBe(true);
  });

  it('driverInitrd holds the backends, xl and its scripts, with what they need', () => {
    const archive = gunzipSync(readFileSync(pieces!.driverInitrd));
    for (const name of [
      ...['modules/xen-blkback.ko', 'modules/xen-netback.ko', 'modules/bridge.ko', 'bin/busybox', 'bin/bash'],
      ...['usr/lib/xen-4.17/bin/xl', 'usr/bin/xenstore-watch', 'etc/xen/scripts/block', 'usr/bin/flock'],
      ...['lib64/ld-linux-x86-64.so.2', 'usr/lib/x86_64-linux-gnu/libxenlight.so.4.17'],
    ]) {
      expect(archive.includes(`${name}\0`), name).toBe(true);
    }
  });

  it('debianInitrd is made of the packages as they are, with scripts in their order', () => {
    const archive = gunzipSync(readFileSync(pieces!.debianInitrd));
    for (const text of [
      '/scripts/init-top/all_generic_ide "$@"\n[ -e /conf/param.conf ] && . /conf/param.conf\n',
      '/scripts/local-premount/resume "$@"\n',
      'No root device specified',
      'usr/bin/busybox\0',
      'usr/bin/minips\0',
      'DPKG_ARCH=amd64\n',
      'TRAILER!!!\0',
    ]) {
      expect(archive.includes(text), text).toBe(true);
    }
  });
});
