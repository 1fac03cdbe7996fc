/**
 * Writer of cpio archives in the "newc" format that Linux unpacks as an initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst). Written here, and not left to `cpio`, because device
 * nodes then need no root and the same input gives the same bytes.
 */

/**
 * One member. `mode` holds the permission bits only; `path` has no leading slash.
 * @typedef {(
 *   | { type: 'directory', path: string, mode?: number }
 *   | { type: 'file', path: string, mode?: number, data: Uint8Array }
 *   | { type: 'symlink', path: string, target: string }
 *   | { type: 'character-device', path: string, mode?: number, major: number, minor: number }
 * )} CpioEntry
 */

const FORMAT = {
  directory: 0o040000,
  file: 0o100000,
  symlink: 0o120000,
  'character-device': 0o020000,
};

const DEFAULT_MODE = { directory: 0o755, file: 0o644, symlink: 0o777, 'character-device': 0o600 };

/** @param {number} length */
const padding = (length) => new Uint8Array((4 - (length % 4)) % 4);

/**
 * The header: a magic and thirteen fields of eight hexadecimal digits, then the name with its NUL, padded to four.
 * @param {string} path
 * @param {{ inode: number, mode: number, links: number, size: number, major: number, minor: number }} fields
 */
function header(path, { inode, mode, links, size, major, minor }) {
  const name = Buffer.from(`${path}\0`);
  // inode, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
  const numbers = [inode, mode, 0, 0, links, 0, size, 0, 0, major, minor, name.length, 0];
  const text = `070701${numbers.map((value) => value.toString(16).padStart(8, '0')).join('')}`;
  return Buffer.concat([Buffer.from(text), name, padding(text.length + name.length)]);
}

/** @param {CpioEntry} entry */
function contents(entry) {
  if (entry.type === 'file') return entry.data;
  if (entry.type === 'symlink') return Buffer.from(entry.target);
  return new Uint8Array(0);
}

/**
 * The archive as one buffer, times and owners 0, members in the order given (a directory before what is in it).
 * @param {Iterable<CpioEntry>} entries
 * @returns {Buffer}
 */
export function writeCpio(entries) {
  const parts = [];
  let inode = 1;
  for (const entry of entries) {
    const data = contents(entry);
    const permissions =
      entry.type === 'symlink' ? DEFAULT_MODE.symlink : (entry.mode ?? DEFAULT_MODE[entry.type]);
    const device = entry.type === 'character-device' ? entry : { major: 0, minor: 0 };
    parts.push(
      header(entry.path, {
        inode: inode++,
        mode: FORMAT[entry.type] | permissions,
        links: entry.type === 'directory' ? 2 : 1,
        size: data.length,
        major: device.major,
        minor: device.minor,
      }),
      data,
      padding(data.length),
    );
  }
  parts.push(header('TRAILER!!!', { inode: 0, mode: 0, links: 1, size: 0, major: 0, minor: 0 }));
  return Buffer.concat(parts);
}
