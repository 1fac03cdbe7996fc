import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Apt, UnavailableError } from './apt.mjs';
import { buildDebianInitrd } from './debian-initrd.mjs';
import { busyboxInitramfs } from './initramfs.mjs';
import { MODULES, moduleEntries } from './modules.mjs';
import { toolsArchive, xenToolsArchive } from './tools.mjs';

/**
 * Paths of what the guest tests boot, all from Debian 12's amd64 packages.
 * @typedef {object} DebianPieces
 * @property {string} vmlinuz linux-image-amd64's kernel, a bzImage
 * @property {string} modules directory of modules for `vmlinuz`: those of `MODULES`, for `moduleEntries`
 * @property {string} cloudVmlinuz linux-image-cloud-amd64's kernel, a bzImage
 * @property {string} busybox the static busybox, an ELF for x86-64
 * @property {string} initrd the yardstick initramfs (tooling/bench/guest/init), gzip-compressed
 * @property {string} debianInitrd initramfs-tools' own init and scripts, gzip-compressed
 * @property {string} rootInitrd an initramfs for `vmlinuz` that loads the disk driver and starts the system on `root=`
 * @property {string} tools an archive with ethtool, openssl and their libraries, to be appended to an initramfs
 * @property {string} xenTools likewise xl, xenstore's commands and Xen's hotplug scripts
 * @property {string} driverInitrd an initramfs for `vmlinuz` that makes a driver domain of it
 * @property {string} xenstored xen-utils-4.17's xenstored, a dynamic ELF that wants Xen's libraries
 * @property {string} grub GRUB's 64-bit PV image, grub-x86_64-xen.bin
 */

const repository = fileURLToPath(new URL('../../../', import.meta.url));
const initScript = join(repository, 'tooling/bench/guest/init');
const rootInitScript = join(repository, 'tooling/debian/guest/init-root');
const driverInitScript = join(repository, 'tooling/debian/guest/init-driver');

/** Frontends as well: what a driver domain serves, it may have from another one. */
const DRIVER_MODULES = [
  'xen-blkfront',
  'xen-netfront',
  'xen-blkback',
  'xen-netback',
  'bridge',
  'xen-privcmd',
];

/** The directory of the unpacked pieces: `$XENOLITH_CACHE/debian`, or `.cache/debian` of the repository. */
export function cacheDirectory() {
  return join(process.env.XENOLITH_CACHE ?? join(repository, '.cache'), 'debian');
}

/** @param {string} directory @param {RegExp} name */
function only(directory, name) {
  const found = readdirSync(directory).filter((file) => name.test(file));
  if (found.length !== 1) throw new Error(`expected one ${name} in ${directory}, found ${found.length}`);
  return join(directory, /** @type {string} */ (found[0]));
}

/** @param {string} path @param {string | Uint8Array} data */
function writeWhole(path, data) {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, data);
  renameSync(temporary, path);
}

/** @param {Apt} apt @param {string} cache @returns {DebianPieces} */
function obtain(apt, cache) {
  /** @param {string} metaPackage @param {string[]} [more] */
  const kernel = (metaPackage, more = []) => {
    const name = apt.dependency(metaPackage, /^linux-image-6\.1\./);
    const tree = apt.unpack(name, ['./boot/vmlinuz-*', ...more]);
    return { tree, vmlinuz: only(join(tree, 'boot'), /^vmlinuz-/) };
  };
  const moduleFiles = MODULES.map((name) => `./lib/modules/*/${name}.ko`);
  const { tree, vmlinuz } = kernel('linux-image-amd64', moduleFiles);
  const modules = join(tree, 'lib/modules');
  const cloudVmlinuz = kernel('linux-image-cloud-amd64').vmlinuz;
  const busybox = join(apt.unpack('busybox-static', ['./bin/busybox']), 'bin/busybox');
  const grubFile = './usr/lib/grub-xen/grub-x86_64-xen.bin';
  const grub = join(apt.unpack('grub-xen-host', [grubFile]), grubFile);
  const debianInitrd = join(cache, 'debian-initrd.gz');
  writeWhole(
    debianInitrd,
    buildDebianInitrd({
      core: apt.unpack('initramfs-tools-core', [
        './etc/initramfs-tools/initramfs.conf',
        './usr/share/initramfs-tools/*',
      ]),
      klibcUtils: apt.unpack('klibc-utils', ['./usr/lib/klibc/bin/*']),
      libklibc: apt.unpack('libklibc', ['./lib/klibc-*.so']),
      busybox,
    }),
  );
  const initrd = join(cache, 'initrd.gz');
  writeWhole(initrd, busyboxInitramfs(busybox, readFileSync(initScript)));
  const rootInitrd = join(cache, 'root-initrd.gz');
  const rootModules = moduleEntries(modules, ['crc32c-intel', 'ext4', 'xen-blkfront']);
  writeWhole(rootInitrd, busyboxInitramfs(busybox, readFileSync(rootInitScript), rootModules));
  const tools = join(cache, 'tools.cpio.gz');
  writeWhole(tools, toolsArchive(apt));
  const xenTools = join(cache, 'xen-tools.cpio.gz');
  writeWhole(xenTools, xenToolsArchive(apt));
  const driverInitrd = join(cache, 'driver-initrd.gz');
  const driverModules = moduleEntries(modules, DRIVER_MODULES);
  const driver = busyboxInitramfs(busybox, readFileSync(driverInitScript), driverModules);
  writeWhole(driverInitrd, Buffer.concat([driver, readFileSync(xenTools)]));
  const daemonFile = './usr/lib/xen-4.17/bin/xenstored';
  const xenstored = join(apt.unpack('xen-utils-4.17', [daemonFile]), daemonFile);
  return {
    ...{ vmlinuz, modules, cloudVmlinuz, busybox, initrd, debianInitrd, rootInitrd },
    ...{ tools, xenTools, driverInitrd, grub, xenstored },
  };
}

/** A change of this program or of the init scripts makes the cached answer stale; a new Debian kernel does not. */
function recipe() {
  const here = dirname(fileURLToPath(import.meta.url));
  const hash = createHash('sha256');
  for (const script of [initScript, rootInitScript, driverInitScript]) hash.update(readFileSync(script));
  for (const file of readdirSync(here).sort())
    if (file.endsWith('.mjs')) hash.update(readFileSync(join(here, file)));
  return hash.digest('hex');
}

/** @param {string} manifest @returns {DebianPieces | undefined} */
function remembered(manifest) {
  if (!existsSync(manifest)) return undefined;
  const { recipe: madeBy, pieces } = JSON.parse(readFileSync(manifest, 'utf8'));
  const whole = madeBy === recipe() && Object.values(pieces).every((path) => existsSync(path));
  return whole ? pieces : undefined;
}

/**
 * Downloads and unpacks what is missing and gives the paths.
 * @param {{ refresh?: boolean }} [options] refresh: ask apt for newer packages even if the pieces are all there
 * @returns {DebianPieces}
 * @throws {UnavailableError} when this machine cannot have Debian 12's packages
 */
export function fetchDebianPieces({ refresh = false } = {}) {
  const cache = cacheDirectory();
  const manifest = join(cache, 'pieces.json');
  const known = refresh ? undefined : remembered(manifest);
  if (known !== undefined) return known;
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new UnavailableError(
      `the pieces are made on x86-64 Linux, this is ${process.platform} on ${process.arch}`,
    );
  }
  mkdirSync(cache, { recursive: true });
  const apt = new Apt(cache);
  let pieces;
  try {
    if (refresh) apt.updatePrivateLists();
    pieces = obtain(apt, cache);
  } catch (error) {
    if (!(error instanceof UnavailableError) || refresh) throw error;
    // The machine's package lists are missing, or name versions that the mirror has replaced since.
    apt.updatePrivateLists();
    pieces = obtain(apt, cache);
  }
  writeWhole(manifest, `${JSON.stringify({ recipe: recipe(), pieces }, null, 2)}\n`);
  return pieces;
}

/**
 * For tests: the pieces, or the reason why there are none, so that a test can skip itself and say so. In CI
 * (`CI=true`) a missing piece is an error, never a skipped test.
 *
 * ```ts
 * const { pieces, reason } = debianPieces();
 * describe.skipIf(pieces === undefined)(`Debian's kernel (${reason ?? 'found'})`, () => { … });
 * ```
 * @returns {{ pieces: DebianPieces, reason?: undefined } | { pieces?: undefined, reason: string }}
 */
export function debianPieces() {
  try {
    return { pieces: fetchDebianPieces() };
  } catch (error) {
    if (!(error instanceof UnavailableError) || process.env.CI === 'true') throw error;
    return { reason: error.message };
  }
}
