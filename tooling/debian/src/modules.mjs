import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** @typedef {import('./cpio.mjs').CpioEntry} CpioEntry */

/**
 * Modules of Debian's kernel that guests here may load: Xen's drivers, bridges, ext4 with what it needs, and virtio's
 * drivers for the guests of QEMU that ours are compared with.
 */
export const MODULES = [
  'xen-blkfront',
  'xen-blkback',
  'xen-netfront',
  'xen-netback',
  'xen-privcmd',
  'bridge',
  'stp',
  'llc',
  'ext4',
  'jbd2',
  'mbcache',
  'crc16',
  'crc32c-intel',
  'crc32c_generic',
  'libcrc32c',
  'virtio_blk',
  'virtio_net',
  'virtio_pci',
  'virtio',
  'virtio_ring',
  'virtio_pci_modern_dev',
  'virtio_pci_legacy_dev',
  'net_failover',
  'failover',
];

/**
 * Entries for an initramfs: the named modules and those that they depend on as /modules/NAME.ko, and /modules/load, a
 * script that inserts them all in a fitting order, with what the kernel's command line has for them (NAME.OPTION=VALUE, as
 * modprobe takes it; /proc is to be mounted). Dependencies are those that a module itself names (`depends` in its
 * section .modinfo). What it merely wishes for (`softdep`, so ext4's crc32c) is to be named before it.
 * @param {string} directory `modules` of the pieces
 * @param {string[]} names
 * @returns {CpioEntry[]}
 */
export function moduleEntries(directory, names) {
  const files = new Map(
    /** @type {string[]} */ (readdirSync(directory, { recursive: true }))
      .filter((path) => path.endsWith('.ko'))
      .map((path) => [basename(path, '.ko'), join(directory, path)]),
  );
  /** @type {Map<string, Buffer>} */
  const chosen = new Map();
  /** @param {string} name */
  const add = (name) => {
    // The kernel takes - and _ for the same; files have either.
    const found = [name, name.replaceAll('_', '-'), name.replaceAll('-', '_')].find((way) => files.has(way));
    if (found === undefined)
      throw new Error(`${name} is none of the modules that are unpacked: add it to MODULES`);
    if (chosen.has(found)) return;
    const data = readFileSync(/** @type {string} */ (files.get(found)));
    for (const other of dependencies(data)) add(other);
    chosen.set(found, data);
  };
  names.forEach(add);
  const load = `#!/bin/sh
options() { for word in $(cat /proc/cmdline); do case $word in "$1".*) echo "\${word#*.}" ;; esac; done; }
for name in ${[...chosen.keys()].join(' ')}; do insmod /modules/$name.ko $(options $(echo $name | tr - _)); done
`;
  return [
    { type: 'directory', path: 'modules' },
    ...[...chosen].map(
      ([name, data]) => /** @type {CpioEntry} */ ({ type: 'file', path: `modules/${name}.ko`, data }),
    ),
    { type: 'file', path: 'modules/load', mode: 0o755, data: Buffer.from(load) },
  ];
}

/** @param {Buffer} module */
function dependencies(module) {
  const at = module.indexOf('\0depends=') + '\0depends='.length;
  return module.toString('latin1', at, module.indexOf(0, at)).split(',').filter(Boolean);
}
