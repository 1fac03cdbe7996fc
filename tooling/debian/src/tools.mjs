import { gzipSync } from 'node:zlib';
import { writeCpio } from './cpio.mjs';
import { packageEntries } from './tree.mjs';

/** @typedef {import('./apt.mjs').Apt} Apt */

const LIBRARIES = ['./*/lib*.so.*'];
const LIBC = ['./lib64/*', './lib/x86_64-linux-gnu/ld-linux-x86-64.so.2', './lib/x86_64-linux-gnu/libc.so.6'];

/** Programs that busybox has nothing for, or nothing as fast (openssl's SHA-256), with their libraries. */
const TOOLS = {
  ethtool: ['./sbin/ethtool'],
  openssl: ['./usr/bin/openssl'],
  libc6: [...LIBC, './lib/x86_64-linux-gnu/libm.so.6'],
  libmnl0: LIBRARIES,
  libssl3: ['./*/libssl.so.3', './*/libcrypto.so.3'],
};

/** Xen's tools of a driver domain, what its scripts need beside busybox, and the libraries of all of them. */
const XEN_TOOLS = {
  'xen-utils-4.17': ['./usr/lib/xen-4.17/bin/xl'],
  'xen-utils-common': ['./etc/xen/scripts/*', './etc/xen/xl.conf'],
  'xenstore-utils': ['./usr/bin/xenstore*'],
  bash: ['./bin/bash'],
  'util-linux': ['./usr/bin/flock'],
  libc6: LIBC,
  'libxenmisc4.17': [
    './*/libxenlight.so.*',
    './*/libxlutil.so.*',
    './*/libxenctrl.so.*',
    './*/libxenguest.so.*',
  ],
  libxencall1: LIBRARIES,
  libxendevicemodel1: LIBRARIES,
  libxenevtchn1: LIBRARIES,
  libxenforeignmemory1: LIBRARIES,
  libxengnttab1: LIBRARIES,
  libxenhypfs1: LIBRARIES,
  libxenstore4: LIBRARIES,
  libxentoolcore1: LIBRARIES,
  libxentoollog1: LIBRARIES,
  liblzma5: LIBRARIES,
  libtinfo6: LIBRARIES,
  libuuid1: LIBRARIES,
  libyajl2: LIBRARIES,
  libzstd1: LIBRARIES,
  zlib1g: LIBRARIES,
};

/**
 * Gzip-compressed archives to be appended to an initramfs with busybox, as Linux unpacks one behind another. Files are where
 * their packages have them: PATH is to have /usr/bin, /sbin and, for xl, /usr/lib/xen-4.17/bin.
 * @param {Apt} apt
 */
export const toolsArchive = (apt) => archive(apt, TOOLS);

/** @param {Apt} apt */
export const xenToolsArchive = (apt) => archive(apt, XEN_TOOLS);

/** @param {Apt} apt @param {Readonly<Record<string, string[]>>} packages */
const archive = (apt, packages) => gzipSync(writeCpio(packageEntries(apt, packages)), { level: 9 });
