import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** @typedef {import('./cpio.mjs').CpioEntry} CpioEntry */

/**
 * What is in a directory, as entries of an archive, in the order of their names.
 * @param {string} root
 * @param {string} [folder] below it
 * @returns {Generator<CpioEntry>}
 */
export function* treeEntries(root, folder = '') {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true }).sort(byName)) {
    const path = join(folder, entry.name);
    const at = join(root, path);
    if (entry.isSymbolicLink()) yield { type: 'symlink', path, target: readlinkSync(at) };
    else if (entry.isDirectory()) {
      yield { type: 'directory', path };
      yield* treeEntries(root, path);
    } else yield { type: 'file', path, mode: statSync(at).mode & 0o755, data: readFileSync(at) };
  }
}

/**
 * Files of packages at the places where the packages have them.
 * @param {import('./apt.mjs').Apt} apt
 * @param {Readonly<Record<string, string[]>>} packages tar patterns by package, `./usr/bin/xenstore*`
 * @returns {CpioEntry[]}
 */
export function packageEntries(apt, packages) {
  /** @type {Map<string, CpioEntry>} */
  const entries = new Map();
  for (const [name, members] of Object.entries(packages)) {
    for (const entry of treeEntries(apt.unpack(name, members))) entries.set(entry.path, entry);
  }
  return [...entries.values()];
}

/** @param {{ name: string }} a @param {{ name: string }} b */
const byName = (a, b) => (a.name < b.name ? -1 : 1);
