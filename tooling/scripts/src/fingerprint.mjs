import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** What a build neither reads nor depends on: what it writes, what it installs, tests. */
const IGNORED = new Set(['node_modules', 'dist', '.turbo', 'test', 'coverage']);
const isIgnored = (/** @type {string} */ name) =>
  IGNORED.has(name) || /\.test\.ts$/.test(name) || name === 'README.md' || name === 'CHANGELOG.md';

/** @param {string} path @param {import('node:crypto').Hash} hash */
function addTree(path, hash) {
  for (const entry of readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (isIgnored(entry.name)) continue;
    const child = join(path, entry.name);
    if (entry.isDirectory()) addTree(child, hash);
    else addFile(child, hash);
  }
}

/** @param {string} path @param {import('node:crypto').Hash} hash */
function addFile(path, hash) {
  const { mtimeMs, size } = statSync(path);
  hash.update(`${path}\0${size}\0${mtimeMs}\n`);
}

/**
 * A short text that changes whenever an input of the build may have changed. It looks at names, sizes and times only,
 * so that it costs milliseconds; turbo, which looks at contents, decides what really has to be built again.
 * @param {string} root
 */
export function buildFingerprint(root) {
  const hash = createHash('sha256');
  for (const file of ['package.json', 'pnpm-lock.yaml', 'turbo.json', 'tooling/tsconfig/base.json']) {
    addFile(join(root, file), hash);
  }
  for (const directory of ['packages', 'apps']) addTree(join(root, directory), hash);
  return hash.digest('hex');
}

/**
 * The same for the installed dependencies; by contents, since the lockfile alone says what is installed.
 * @param {string} root
 */
export function installFingerprint(root) {
  const hash = createHash('sha256');
  for (const file of ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml']) {
    hash.update(readFileSync(join(root, file)));
  }
  return hash.digest('hex');
}
