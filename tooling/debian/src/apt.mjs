import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Why Debian's packages cannot be had on this machine: no apt, not Debian 12, no network. */
export class UnavailableError extends Error {}

/**
 * Runs a program and gives its standard output; what it says on standard error becomes the error's message.
 * @param {string} program
 * @param {string[]} args
 * @param {string} [cwd]
 */
function run(program, args, cwd) {
  try {
    return execFileSync(program, args, {
      cwd,
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 64 << 20,
    });
  } catch (error) {
    const { code, stderr } = /** @type {{ code?: string, stderr?: string }} */ (error);
    if (code === 'ENOENT') throw new UnavailableError(`${program} is not installed`);
    const lines = (stderr ?? String(error)).split('\n').filter((line) => line.startsWith('E: '));
    throw new UnavailableError(
      `${program} ${args.at(-1)}: ${lines.join(' ') || (stderr ?? String(error)).trim()}`,
    );
  }
}

/**
 * Debian's package archive as this machine's apt sees it. The machine's own package lists are used where they are
 * complete; where they are missing or stale, a private copy of them is fetched into `cache` (no root needed).
 */
export class Apt {
  #options = ['-o', 'Acquire::Retries=3', '-o', 'APT::Sandbox::User='];
  #cache;

  /** @param {string} cache directory for downloads and, if need be, package lists */
  constructor(cache) {
    this.#cache = cache;
  }

  /** Fetches fresh package lists into the cache and uses them from now on. */
  updatePrivateLists() {
    const state = join(this.#cache, 'apt');
    for (const directory of ['lists/partial', 'archives/partial'])
      mkdirSync(join(state, directory), { recursive: true });
    this.#options.push('-o', `Dir::State::Lists=${state}/lists`, '-o', `Dir::Cache=${state}`);
    run('apt-get', [...this.#options, '-qq', 'update']);
  }

  /**
   * The package of that name that a meta package stands for (`linux-image-amd64` → `linux-image-6.1.0-56-amd64`).
   * @param {string} metaPackage
   * @param {RegExp} pattern
   */
  dependency(metaPackage, pattern) {
    const text = run('apt-cache', [...this.#options, 'depends', metaPackage]);
    const found = [...text.matchAll(/Depends: (\S+)/g)]
      .map((match) => match[1])
      .find((name) => pattern.test(name ?? ''));
    if (found === undefined) throw new UnavailableError(`apt knows no ${metaPackage} for Debian 12`);
    return found;
  }

  /**
   * Unpacks the named files of a package and gives the directory that they are under. It appears whole or not at all,
   * so two processes may do this at once; the same files of a version that are there already are not fetched again.
   * @param {string} packageName
   * @param {string[]} members tar patterns, `./boot/vmlinuz-*`
   */
  unpack(packageName, members) {
    const version = run('apt-cache', [...this.#options, 'show', '--no-all-versions', packageName]).match(
      /^Version: (.*)$/m,
    )?.[1];
    if (version === undefined) throw new UnavailableError(`apt knows no ${packageName}`);
    const which = createHash('sha256').update(members.join('\n')).digest('hex').slice(0, 8);
    const target = join(this.#cache, `${packageName}_${version.replace(/[^\w.+~-]/g, '_')}_${which}`);
    if (existsSync(target)) return target;
    mkdirSync(this.#cache, { recursive: true });
    const work = mkdtempSync(join(this.#cache, 'unpacking-'));
    try {
      run('apt-get', [...this.#options, '-qq', 'download', packageName], work);
      const archive = readdirSync(work).find((name) => name.endsWith('.deb'));
      if (archive === undefined)
        throw new UnavailableError(`apt-get download ${packageName} left no package`);
      mkdirSync(join(work, 'tree'));
      // tar fails on a truncated stream and on a pattern that matches nothing, so its status speaks for the pipe.
      const script =
        'archive=$1; shift; dpkg-deb --fsys-tarfile "$archive" | tar -x -C tree --wildcards "$@"';
      run('sh', ['-c', script, 'unpack', archive, ...members], work);
      renameSync(join(work, 'tree'), target);
    } catch (error) {
      // Another process may have been first: then the target is there and as good as ours.
      if (!existsSync(target)) throw error;
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
    return target;
  }
}
