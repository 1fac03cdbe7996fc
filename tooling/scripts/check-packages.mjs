// `npm run check-packages`: publint and attw over every package that is published, after a build.
// Prints what is wrong with which package; exit status 1 if anything is.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { root } from './src/workspace.mjs';

/** @typedef {{ directory: string, manifest: { name: string, private?: boolean, exports?: object } }} Published */

/** @returns {Published[]} */
function published() {
  return ['packages', 'apps'].flatMap((kind) =>
    readdirSync(join(root, kind))
      .map((name) => join(root, kind, name))
      .map((directory) => ({
        directory,
        manifest: JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')),
      }))
      .filter(({ manifest }) => manifest.private !== true),
  );
}

/** @param {string} directory @returns {Promise<string | undefined>} attw's report if it found something */
function attw(directory) {
  const args = [
    join(root, 'node_modules/.bin/attw'),
    '--pack',
    directory,
    '--profile',
    'esm-only',
    '--no-color',
    '--no-emoji',
  ];
  const [program, ...rest] = /** @type {[string, ...string[]]} */ (args);
  return new Promise((resolve) => {
    execFile(program, rest, { maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      resolve(error === null ? undefined : `${stdout}${stderr}`.trim());
    });
  });
}

/** @param {Published} published @returns {Promise<string[]>} */
async function problemsOf({ directory, manifest }) {
  const { messages, pkg } = await publint({ pkgDir: directory, strict: true, pack: 'npm' });
  const problems = messages.map((message) => `publint: ${formatMessage(message, pkg, { color: false })}`);
  // A package with a command alone has no entry whose types could be wrong.
  const report = manifest.exports === undefined ? undefined : await attw(directory);
  return report === undefined ? problems : [...problems, `attw: ${report}`];
}

const queue = published();
const count = queue.length;
let failed = 0;
await Promise.all(
  Array.from({ length: availableParallelism() }, async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const problems = await problemsOf(next);
      if (problems.length === 0) continue;
      failed++;
      console.error(`${next.manifest.name}\n  ${problems.join('\n  ')}`);
    }
  }),
);
console.log(`check-packages: ${count} packages, ${failed} with problems`);
process.exitCode = failed === 0 ? 0 : 1;
