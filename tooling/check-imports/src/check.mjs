import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { ARROWS, FORBIDDEN_ENTRIES, PROTOCOL_FOLDERS, PROTOCOL_PACKAGES } from './arrows.mjs';
import { findCycles } from './cycles.mjs';
import { importsOf } from './parse.mjs';

/**
 * @typedef {import('./workspace.mjs').Workspace} Workspace
 * @typedef {import('./workspace.mjs').Member} Member
 * @typedef {import('./parse.mjs').ImportedName} ImportedName
 */

const SCOPE = '@xenolith/';

/**
 * What a file of a package is for, which decides what it may import: `core` runs anywhere, `node` runs in Node and is
 * published under the `/node` subpath, `development` (tests, configuration, build scripts) is not published at all.
 * @param {Member} member @param {string} path
 * @returns {'core' | 'node' | 'development'}
 */
function roleOf(member, path) {
  if (/\.test\.tsx?$/.test(path) || !path.startsWith('src/')) return 'development';
  if (member.kind === 'tooling') return 'development';
  if (member.kind === 'apps') return 'node';
  return path.startsWith('src/node/') ? 'node' : 'core';
}

/** `@scope/name/sub` → `@scope/name`. @param {string} specifier */
const packageOf = (specifier) => specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');

/** @param {string} name of a package, `@xenolith/mmu` → `mmu` */
const shortName = (name) => (name.startsWith(SCOPE) ? name.slice(SCOPE.length) : name);

/**
 * The source that a relative import means; sources say `.js` for a `.ts`.
 * @param {Member} member @param {string} from @param {string} specifier
 */
function resolveRelative(member, from, specifier) {
  const target = posix.normalize(posix.join(posix.dirname(from), specifier));
  const asTypeScript = target.replace(/\.js$/, '.ts');
  const candidates = [target, asTypeScript, `${asTypeScript}x`];
  return candidates.find((path) => member.files.some((file) => file.path === path)) ?? target;
}

/** Checks one file's imports of its own package. @param {Member} member @param {string} from @param {string} specifier */
function relativeProblem(member, from, specifier) {
  const target = resolveRelative(member, from, specifier);
  if (target.startsWith('../')) return 'leaves its package: import the other package by its name';
  if (roleOf(member, from) === 'development') return undefined;
  if (/\.test\.tsx?$/.test(target)) return 'imports a test';
  if (roleOf(member, from) === 'core' && target.startsWith('src/node/')) {
    return 'imports a Node-only part: only src/node may';
  }
  const folder = PROTOCOL_FOLDERS[/** @type {'blkback'} */ (shortName(member.manifest.name))];
  if (folder !== undefined && from.startsWith(folder) && !target.startsWith(folder)) {
    return `a codec must be usable alone: imports only xen-abi and ${folder}`;
  }
  return undefined;
}

/** Is the package declared where this file needs it? @param {Workspace} workspace @param {Member} member */
function undeclared(workspace, member, /** @type {string} */ from, /** @type {string} */ name) {
  const { dependencies, peerDependencies, optionalDependencies, devDependencies } = member.manifest;
  const runtime = { ...dependencies, ...peerDependencies, ...optionalDependencies };
  if (name === member.manifest.name || name in runtime) return undefined;
  // An app is bundled: what it is made of need not be installed with it.
  if (member.kind === 'apps' && devDependencies && name in devDependencies) return undefined;
  if (roleOf(member, from) !== 'development')
    return `'${name}' is not in the dependencies of its package.json`;
  // Tools that every package's tests use are declared once, at the root; our own packages are not.
  const shared = name.startsWith(SCOPE) ? {} : workspace.rootManifest.devDependencies;
  if (name in { ...devDependencies, ...shared }) return undefined;
  return `'${name}' is neither in the dependencies nor in the devDependencies of its package.json`;
}

/** May this package's published code use that one? @param {Member} member @param {string} from @param {string} specifier */
function arrowProblem(member, from, specifier) {
  const user = shortName(member.manifest.name);
  const used = shortName(packageOf(specifier));
  if (member.kind !== 'packages' || used === user) return undefined;
  if (!(ARROWS[user] ?? []).includes(used)) return `the design has no arrow from ${user} to ${used}`;
  const forbidden = FORBIDDEN_ENTRIES[/** @type {'cpu-emulator'} */ (user)] ?? [];
  if (forbidden.includes(specifier)) return `${user} must not use ${specifier}`;
  if (roleOf(member, from) === 'core' && specifier.endsWith('/node'))
    return 'imports a Node-only part: only src/node may';
  const folder = PROTOCOL_FOLDERS[/** @type {'blkback'} */ (user)];
  if (folder !== undefined && from.startsWith(folder) && used !== 'xen-abi') {
    return `a codec must be usable alone: imports only xen-abi and ${folder}`;
  }
  return undefined;
}

/** Is it an entry that the other package offers? @param {Workspace} workspace @param {string} specifier */
function entryProblem(workspace, specifier) {
  const name = packageOf(specifier);
  const target = workspace.members.find((member) => member.manifest.name === name);
  if (target === undefined) return name.startsWith(SCOPE) ? `there is no package ${name}` : undefined;
  const entry = `.${specifier.slice(name.length)}`;
  return entry in (target.manifest.exports ?? {}) ? undefined : `${name} does not export '${entry}'`;
}

/** @param {Workspace} workspace @param {Member} member @param {string} from @param {string} specifier */
function problemOf(workspace, member, from, specifier) {
  if (specifier.startsWith('.')) return relativeProblem(member, from, specifier);
  const role = roleOf(member, from);
  if (isBuiltin(specifier)) {
    return role === 'core' ? 'a Node built-in outside src/node: the packages run in browsers too' : undefined;
  }
  const arrow = role === 'development' ? undefined : arrowProblem(member, from, specifier);
  return (
    (specifier.startsWith(SCOPE) ? arrow : undefined) ??
    entryProblem(workspace, specifier) ??
    undeclared(workspace, member, from, packageOf(specifier))
  );
}

/** What a manifest may declare, whether or not something imports it. @param {Member} member */
function manifestProblems(member) {
  if (member.kind !== 'packages') return [];
  const name = shortName(member.manifest.name);
  const allowed = ARROWS[name];
  if (allowed === undefined)
    return [`${member.directory}: the design's table (arrows.mjs) does not list ${name}`];
  const { dependencies, peerDependencies, optionalDependencies } = member.manifest;
  const used = Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies });
  const problems = used
    .filter((dependency) => dependency.startsWith(SCOPE) && !allowed.includes(shortName(dependency)))
    .map((dependency) => `depends on ${dependency}: the design has no arrow from ${name} to it`);
  if (PROTOCOL_PACKAGES.includes(name)) {
    const others = used.filter((dependency) => !dependency.startsWith(SCOPE));
    problems.push(
      ...others.map((other) => `depends on ${other}: a protocol package needs nothing beyond xen-abi`),
    );
  }
  return problems.map((problem) => `${member.directory}/package.json: ${problem}`);
}

/** @param {Workspace} workspace */
function packageCycles(workspace) {
  const names = new Set(workspace.members.map((member) => member.manifest.name));
  /** @type {Map<string, Iterable<string>>} */
  const edges = new Map();
  for (const { manifest } of workspace.members) {
    const all = Object.keys({
      ...manifest.dependencies,
      ...manifest.peerDependencies,
      ...manifest.devDependencies,
    });
    edges.set(
      manifest.name,
      all.filter((name) => names.has(name)),
    );
  }
  return findCycles(edges).map((cycle) => `packages depend on each other: ${cycle.join(' → ')}`);
}

/**
 * Every violation as one line, `packages/mmu/src/x.ts:3: '…' …`; none if the imports follow the design. Cycles of
 * files count values only: types may refer to each other, they are gone when the code runs.
 * @param {Workspace} workspace
 * @returns {string[]}
 */
export function checkWorkspace(workspace) {
  const problems = [...workspace.members.flatMap(manifestProblems), ...packageCycles(workspace)];
  for (const member of workspace.members) {
    /** @type {Map<string, string[]>} */
    const fileEdges = new Map();
    for (const { path, text } of member.files) {
      const imports = importsOf(path, text);
      for (const { specifier, line } of imports) {
        const problem = problemOf(workspace, member, path, specifier);
        if (problem !== undefined)
          problems.push(`${member.directory}/${path}:${line}: '${specifier}': ${problem}`);
      }
      const values = imports.filter(({ specifier, typeOnly }) => specifier.startsWith('.') && !typeOnly);
      fileEdges.set(
        path,
        values.map(({ specifier }) => resolveRelative(member, path, specifier)),
      );
    }
    for (const cycle of findCycles(fileEdges)) {
      problems.push(`${member.directory}: files import each other: ${cycle.join(' → ')}`);
    }
  }
  return problems;
}
