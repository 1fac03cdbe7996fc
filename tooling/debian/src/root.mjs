import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UnavailableError } from './apt.mjs';
import { cacheDirectory } from './pieces.mjs';

const script = fileURLToPath(new URL('../root/make.sh', import.meta.url));
const NEEDED = ['debootstrap', 'mke2fs'];

/** Programs of administrators, which are not in everybody's PATH. */
const env = { ...process.env, LC_ALL: 'C', PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

/**
 * The path of an ext4 image with a small Debian 12 that boots to a login on hvc0 (root/make.sh). It is made if the cache
 * does not have it, which takes a minute or two and needs root, by itself or through `sudo` without a password. It is
 * everybody's: write to a copy.
 * @returns {string}
 * @throws {UnavailableError} when this machine cannot make it
 */
export function fetchDebianRoot() {
  const cache = cacheDirectory();
  const recipe = createHash('sha256').update(readFileSync(script)).digest('hex').slice(0, 8);
  const image = join(cache, `root-${recipe}.img`);
  if (existsSync(image)) return image;
  mkdirSync(cache, { recursive: true });
  const work = join(cache, `making-root-${process.pid}`);
  const temporary = `${work}.img`;
  for (const program of NEEDED) run('sh', ['-c', `command -v ${program}`], `${program} is not installed`);
  const asRoot = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
  const [program, ...args] = [...asRoot, script, work, temporary];
  try {
    run(/** @type {string} */ (program), args, 'no root file system can be made');
    if (process.getuid && process.getgid && asRoot.length > 0) {
      run('sudo', ['-n', 'chown', `${process.getuid()}:${process.getgid()}`, temporary], 'no chown');
    }
    renameSync(temporary, image);
  } finally {
    rmSync(temporary, { force: true });
  }
  return image;
}

/** @param {string} program @param {string[]} args @param {string} otherwise */
function run(program, args, otherwise) {
  try {
    execFileSync(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 << 20 });
  } catch (error) {
    const { code, stderr } = /** @type {{ code?: string, stderr?: Buffer }} */ (error);
    const said =
      code === 'ENOENT'
        ? `${program} is not installed`
        : String(stderr ?? '')
            .trim()
            .split('\n')
            .slice(-3)
            .join(' ');
    throw new UnavailableError(`${otherwise}${said && `: ${said}`}`);
  }
}

/**
 * For tests: the image, or the reason why there is none. In CI (`CI=true`) that is an error.
 * @returns {{ image: string, reason?: undefined } | { image?: undefined, reason: string }}
 */
export function debianRoot() {
  try {
    return { image: fetchDebianRoot() };
  } catch (error) {
    if (!(error instanceof UnavailableError) || process.env.CI === 'true') throw error;
    return { reason: error.message };
  }
}
