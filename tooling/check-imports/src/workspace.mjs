import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/**
 * @typedef {object} Manifest the fields of a package.json that matter here
 * @property {string} name
 * @property {Record<string, string>} [dependencies]
 * @property {Record<string, string>} [peerDependencies]
 * @property {Record<string, string>} [optionalDependencies]
 * @property {Record<string, string>} [devDependencies]
 * @property {Record<string, unknown>} [exports]
 *
 * @typedef {{ path: string, text: string }} SourceFile path relative to its package, with forward slashes
 *
 * @typedef {object} Member a package, app or tooling folder of the workspace
 * @property {'packages' | 'apps' | 'tooling'} kind
 * @property {string} directory relative to the root, `packages/mmu`
 * @property {Manifest} manifest
 * @property {SourceFile[]} files
 *
 * @typedef {{ rootManifest: Manifest, members: Member[] }} Workspace
 */

const SKIPPED = new Set(['node_modules', 'dist', 'fixtures', 'generated', '.turbo', 'coverage']);

/** @param {string} base @param {string} directory @returns {SourceFile[]} */
function sourcesUnder(base, directory) {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : sourcesUnder(base, path);
    if (!/\.(ts|tsx|mts|mjs|js)$/.test(entry.name)) return [];
    return [{ path: relative(base, path).replaceAll('\\', '/'), text: readFileSync(path, 'utf8') }];
  });
}

/** @param {string} directory @returns {Manifest} */
const readManifest = (directory) => JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));

/**
 * Reads the whole workspace. A folder without a package.json is no member.
 * @param {string} root
 * @returns {Workspace}
 */
export function readWorkspace(root) {
  const kinds = /** @type {const} */ (['packages', 'apps', 'tooling']);
  const members = kinds.flatMap((kind) =>
    readdirSync(join(root, kind), { withFileTypes: true })
      .filter((entry) => existsSync(join(root, kind, entry.name, 'package.json')))
      .map((entry) => {
        const path = join(root, kind, entry.name);
        return {
          kind,
          directory: `${kind}/${entry.name}`,
          manifest: readManifest(path),
          files: sourcesUnder(path, path),
        };
      }),
  );
  return { rootManifest: readManifest(root), members };
}
