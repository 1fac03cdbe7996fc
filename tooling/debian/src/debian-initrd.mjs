import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { writeCpio } from './cpio.mjs';
import { treeEntries } from './tree.mjs';

/** Commands of klibc that the package's own hook leaves out (hooks/klibc-utils). */
const NOT_NEEDED = ['gzip', 'kinit', 'zcat'];

/**
 * Debian's own initrd, as `mkinitramfs` makes it for a machine whose drivers are all in the kernel: init and scripts of
 * initramfs-tools as they are, busybox, and the commands of klibc that busybox does not have. mkinitramfs itself works
 * on the machine that it runs on (/usr/share, /boot, /lib/modules, as root for ldconfig); so its steps are done here on
 * unpacked packages, with its own function for the order of the scripts. Left out: modules, firmware, kmod, keymaps.
 *
 * @param {{ core: string, klibcUtils: string, libklibc: string, busybox: string }} packages unpacked trees, and a program
 * @returns {Buffer} gzip-compressed; the same input gives the same bytes
 */
export function buildDebianInitrd({ core, klibcUtils, libklibc, busybox }) {
  const tree = mkdtempSync(join(dirname(core), 'initrd-'));
  try {
    const share = join(core, 'usr/share/initramfs-tools');
    for (const name of ['bin', 'lib', 'lib64', 'sbin']) {
      mkdirSync(join(tree, 'usr', name), { recursive: true });
      symlinkSync(`usr/${name}`, join(tree, name));
    }
    for (const name of ['conf/conf.d', 'etc', 'run']) mkdirSync(join(tree, name), { recursive: true });
    copyFileSync(join(share, 'init'), join(tree, 'init'));
    cpSync(join(share, 'scripts'), join(tree, 'scripts'), { recursive: true });
    writeFileSync(join(tree, 'conf/arch.conf'), 'DPKG_ARCH=amd64\n');
    copyFileSync(join(core, 'etc/initramfs-tools/initramfs.conf'), join(tree, 'conf/initramfs.conf'));
    writeFileSync(join(tree, 'etc/fstab'), '');
    symlinkSync('/proc/mounts', join(tree, 'etc/mtab'));
    installCommands(tree, busybox, join(klibcUtils, 'usr/lib/klibc/bin'));
    for (const name of readdirSync(join(libklibc, 'lib'))) {
      copyFileSync(join(libklibc, 'lib', name), join(tree, 'usr/lib', name));
    }
    orderScripts(tree, join(share, 'hook-functions'));
    return gzipSync(writeCpio(treeEntries(tree)), { level: 9 });
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

/** What the hooks zz-busybox and klibc-utils do. @param {string} tree @param {string} busybox @param {string} klibc */
function installCommands(tree, busybox, klibc) {
  copyFileSync(busybox, join(tree, 'usr/bin/busybox'));
  chmodSync(join(tree, 'usr/bin/busybox'), 0o755);
  const applets = execFileSync(busybox, ['--list-long'], { encoding: 'utf8' }).trim().split('\n');
  for (const path of applets) {
    const at = join(tree, path);
    if (path.includes('/') && !existsSync(at)) symlinkSync('/bin/busybox', at);
  }
  for (const name of readdirSync(klibc)) {
    const taken = ['usr/bin', 'usr/sbin'].some((folder) => readdirSync(join(tree, folder)).includes(name));
    if (!taken && !NOT_NEEDED.includes(name)) copyFileSync(join(klibc, name), join(tree, 'usr/bin', name));
  }
}

/** The file ORDER of each folder of scripts, by the package's own function, which looks for them under CONFDIR. @param {string} tree @param {string} functions */
function orderScripts(tree, functions) {
  for (const folder of readdirSync(join(tree, 'scripts'), { withFileTypes: true })) {
    if (!folder.isDirectory()) continue;
    const script = '. "$1"; cache_run_scripts "$2" "$3"';
    const env = { ...process.env, CONFDIR: tree };
    execFileSync('sh', ['-c', script, 'order', functions, tree, `/scripts/${folder.name}`], { env });
  }
}
