import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildFingerprint, installFingerprint } from './fingerprint.mjs';
import { pnpmVersion, root } from './workspace.mjs';

const OLDEST_NODE = 20;

/** A step of the preparation failed; the message is for the person at the terminal. */
export class PrepareError extends Error {}

/**
 * Runs a command at the root with its output on our standard error, so that standard output belongs to what is run
 * afterwards. With `quiet`, the output is shown only if the command fails.
 * @param {string} what for the error message
 * @param {string[]} command
 * @param {boolean} quiet
 */
function step(what, command, quiet) {
  const [program, ...args] = /** @type {[string, ...string[]]} */ (command);
  const result = spawnSync(program, args, {
    cwd: root,
    stdio: ['ignore', quiet ? 'pipe' : 2, quiet ? 'pipe' : 2],
    encoding: 'utf8',
    maxBuffer: 64 << 20,
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1' },
    shell: process.platform === 'win32',
  });
  if (result.error !== undefined) throw new PrepareError(`${what} could not start: ${result.error.message}`);
  if (result.status === 0) return;
  if (quiet) process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  throw new PrepareError(
    `${what} failed (${result.signal ?? `exit status ${result.status}`}): ${command.join(' ')}`,
  );
}

/**
 * The note of what was last done here, under node_modules so that it goes when they go.
 * @param {string} name
 */
function stamp(name) {
  const path = join(root, 'node_modules/.xenolith', name);
  return {
    /** @param {string} value */
    matches: (value) => existsSync(path) && readFileSync(path, 'utf8') === value,
    /** @param {string} value */
    write: (value) => {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, value);
    },
  };
}

/** Installs the dependencies of the lockfile, unless they are there. */
export function install({ quiet = false } = {}) {
  const wanted = installFingerprint(root);
  const installed = stamp('installed');
  if (installed.matches(wanted)) return;
  process.stderr.write('xenolith: installing dependencies (about half a minute on a fresh machine) …\n');
  step('installing dependencies', ['npx', '--yes', pnpmVersion(), 'install', '--frozen-lockfile'], quiet);
  installed.write(wanted);
}

/** Builds every package and app, unless nothing changed since the last time. */
export function build({ quiet = false } = {}) {
  // Taken before the build: what changes while it runs is then built the next time.
  const wanted = buildFingerprint(root);
  const built = stamp('built');
  if (built.matches(wanted)) return;
  process.stderr.write('xenolith: building (about a minute on a fresh machine) …\n');
  // Turbo starts each package's script with pnpm, so it runs where npx has put pnpm on the path.
  const turbo = ['turbo', 'run', 'build', '--output-logs=errors-only', '--no-update-notifier'];
  step('the build', ['npx', '--yes', pnpmVersion(), 'exec', ...turbo], quiet);
  built.write(wanted);
}

/**
 * Makes a clone ready to run: dependencies installed and everything built. Costs some milliseconds if it is.
 * @param {{ quiet?: boolean, outputs?: string[] }} [options] outputs: files that must be there afterwards; if one is
 * missing (somebody removed `dist`), the stamp is not believed
 * @throws {PrepareError}
 */
export function prepare({ quiet = false, outputs = [] } = {}) {
  const major = Number.parseInt(process.versions.node, 10);
  if (major < OLDEST_NODE) {
    throw new PrepareError(`Node ${OLDEST_NODE} or newer is needed, this is ${process.versions.node}`);
  }
  install({ quiet });
  if (outputs.some((path) => !existsSync(path))) stamp('built').write('');
  build({ quiet });
  for (const path of outputs) if (!existsSync(path)) throw new PrepareError(`the build left no ${path}`);
}

/**
 * Runs `main`, and turns a failed preparation into one line and exit status 1.
 * @param {() => void | Promise<void>} main
 */
export async function runScript(main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof PrepareError)) throw error;
    process.stderr.write(`xenolith: ${error.message}\n`);
    process.exitCode = 1;
  }
}
