import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { KernelCache } from '@xenolith/domain-builder';

/** Unpacked kernels that are kept: some 70 MB each for a distribution's. */
const KEPT = 8;

/** Where caches belong (XDG Base Directory Specification), or undefined where there is no such place. */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const { XDG_CACHE_HOME: xdg } = env;
  if (xdg !== undefined && isAbsolute(xdg)) return join(xdg, 'xenolith');
  try {
    return join(homedir(), '.cache', 'xenolith');
  } catch {
    return undefined;
  }
}

/** Keeps unpacked kernels in files. A cache that cannot be read or written is no error: then everything is unpacked again. */
export function fileKernelCache(directory: string): KernelCache {
  const path = (key: string) => join(directory, `${key}.elf`);
  return {
    get(key) {
      try {
        const bytes = readFileSync(path(key));
        const now = new Date();
        utimesSync(path(key), now, now);
        return bytes;
      } catch {
        return undefined;
      }
    },
    put(key, image) {
      const temporary = `${path(key)}.${process.pid}`;
      try {
        mkdirSync(directory, { recursive: true });
        writeFileSync(temporary, image);
        // Whoever reads at the same time sees all of it or nothing.
        renameSync(temporary, path(key));
        forgetOldest(directory);
      } catch {
        remove(temporary);
      }
    },
  };
}

function forgetOldest(directory: string): void {
  const files = readdirSync(directory)
    .map((name) => join(directory, name))
    .map((file) => ({ file, used: statSync(file).mtimeMs }))
    .sort((a, b) => b.used - a.used);
  for (const { file } of files.slice(KEPT)) remove(file);
}

function remove(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // It stays.
  }
}
