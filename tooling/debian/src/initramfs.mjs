import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { writeCpio } from './cpio.mjs';

/** @typedef {import('./cpio.mjs').CpioEntry} CpioEntry */

/**
 * The device nodes that a shell needs before devtmpfs is mounted; numbers from Linux's admin-guide/devices.txt.
 * @type {CpioEntry[]}
 */
const DEVICES = [
  { type: 'character-device', path: 'dev/console', major: 5, minor: 1, mode: 0o600 },
  { type: 'character-device', path: 'dev/null', major: 1, minor: 3, mode: 0o666 },
  { type: 'character-device', path: 'dev/zero', major: 1, minor: 5, mode: 0o666 },
  { type: 'character-device', path: 'dev/urandom', major: 1, minor: 9, mode: 0o666 },
];

/**
 * A gzip-compressed initramfs: busybox with a link in /bin for every applet, the device nodes, empty mount points and
 * `init` as /init; `extra` is appended, so that a test can add files of its own. The same input gives the same bytes.
 * @param {{ busybox: Uint8Array, applets: string[], init: Uint8Array, extra?: CpioEntry[] }} parts
 * @returns {Buffer}
 */
export function buildInitramfs({ busybox, applets, init, extra = [] }) {
  /** @type {CpioEntry[]} */
  const directories = ['bin', 'dev', 'proc', 'sys', 'tmp', 'root'].map((path) => ({
    type: 'directory',
    path,
  }));
  /** @type {CpioEntry[]} */
  const links = applets
    .filter((applet) => applet !== 'busybox')
    .map((applet) => ({ type: 'symlink', path: `bin/${applet}`, target: 'busybox' }));
  return gzipSync(
    writeCpio([
      ...directories,
      ...DEVICES,
      { type: 'file', path: 'bin/busybox', mode: 0o755, data: busybox },
      ...links,
      { type: 'file', path: 'init', mode: 0o755, data: init },
      ...extra,
    ]),
    { level: 9 },
  );
}

/**
 * The same with a busybox from its file, which says itself what applets it has.
 * @param {string} busybox path of a static busybox
 * @param {string | Uint8Array} init script or program
 * @param {CpioEntry[]} [extra]
 * @returns {Buffer}
 */
export function busyboxInitramfs(busybox, init, extra = []) {
  const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n');
  return buildInitramfs({ busybox: readFileSync(busybox), applets, init: Buffer.from(init), extra });
}
