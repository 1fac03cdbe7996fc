import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { debianRoot } from '@xenolith-tooling/debian';
import { reason as noKernel, pieces } from './debian-machine.js';

const root: { image?: string; reason?: string | undefined } = pieces ? debianRoot() : { reason: noKernel };

/** Why the tests of Debian's root file system cannot be run here. */
export const { reason } = root;

/** A fresh copy of the root file system that may be written to. @returns its path */
export function copyOfRoot(directory: string, name = 'root.img'): string {
  return copy(root.image!, join(directory, name));
}

export function copy(from: string, to: string): string {
  rmSync(to, { force: true });
  execFileSync('cp', ['--sparse=always', from, to]);
  return to;
}

/** Programs of e2fsprogs may not be in everybody's PATH. */
export const env = { ...process.env, LC_ALL: 'C', PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

/** Checks a file system. @param how `-fn`: changes nothing; `-fy`: mends all. @returns exit status and what was said */
export function fsck(image: string, how: '-fn' | '-fy'): { status: number; said: string } {
  try {
    return {
      status: 0,
      said: execFileSync('e2fsck', [how, image], { env, encoding: 'utf8', stdio: 'pipe' }),
    };
  } catch (error) {
    const { status, stdout } = error as { status: number; stdout: string };
    return { status, said: stdout };
  }
}

/** SHA-256 of a file in the file system of an image, read without the guest. */
export function shaInside(image: string, path: string): string {
  const out = `${image}.dump`;
  rmSync(out, { force: true });
  execFileSync('debugfs', ['-R', `dump ${path} ${out}`, image], { env, stdio: 'pipe' });
  const sha = shaOf(out);
  rmSync(out);
  return sha;
}

export const shaOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
