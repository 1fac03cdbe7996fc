import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { writeCpio } from './cpio.mjs';

/** @typedef {import('./cpio.mjs').CpioEntry} CpioEntry */

const LIB = 'lib/x86_64-linux-gnu';
const LOADER = 'ld-linux-x86-64.so.2';

/** Programs and libraries by package: where the file is in it, and where it goes. */
const FILES = [
  { from: 'ethtool', file: 'sbin/ethtool', to: 'bin/ethtool' },
  { from: 'openssl', file: 'usr/bin/openssl', to: 'bin/openssl' },
  ...[LOADER, 'libc.so.6', 'libm.so.6'].map((name) => ({
    from: 'libc6',
    file: `${LIB}/${name}`,
    to: `${LIB}/${name}`,
  })),
  { from: 'libmnl0', file: `usr/${LIB}/libmnl.so.0`, to: `${LIB}/libmnl.so.0` },
  ...['libssl.so.3', 'libcrypto.so.3'].map((name) => ({
    from: 'libssl3',
    file: `usr/${LIB}/${name}`,
    to: `${LIB}/${name}`,
  })),
];

/**
 * Programs that busybox has nothing for, with their libraries, to be appended to an initramfs: Linux unpacks one archive
 * behind another.
 * @param {import('./apt.mjs').Apt} apt
 * @returns {Buffer} a gzip-compressed archive with /bin/ethtool and /bin/openssl (whose SHA-256 is several times faster)
 */
export function toolsArchive(apt) {
  /** @type {CpioEntry[]} */
  const files = FILES.map(({ from, file, to }) => {
    const others = FILES.filter((other) => other.from === from).map((other) => `./${other.file}*`);
    const data = readFileSync(join(apt.unpack(from, others), file));
    return { type: 'file', path: to, mode: 0o755, data };
  });
  return gzipSync(
    writeCpio([
      ...['bin', 'lib', LIB, 'lib64'].map((path) => /** @type {CpioEntry} */ ({ type: 'directory', path })),
      { type: 'symlink', path: `lib64/${LOADER}`, target: `/${LIB}/${LOADER}` },
      ...files,
    ]),
  );
}
