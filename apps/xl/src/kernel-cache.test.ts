import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { cacheDirectory, fileKernelCache } from './kernel-cache.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'xenolith-cache-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

it('lies where caches belong', () => {
  expect(cacheDirectory({ XDG_CACHE_HOME: '/var/cache' })).toBe('/var/cache/xenolith');
  expect(cacheDirectory({ XDG_CACHE_HOME: 'relative' })).toMatch(/\.cache\/xenolith$/);
  expect(cacheDirectory({})).toMatch(/\.cache\/xenolith$/);
});

it('gives back what it was given, and only that', () => {
  const cache = fileKernelCache(join(directory, 'new', 'kernels'));
  expect(cache.get('v1-a')).toBeUndefined();
  cache.put('v1-a', Uint8Array.of(1, 2, 3));
  expect([...cache.get('v1-a')!]).toEqual([1, 2, 3]);
  expect(readdirSync(join(directory, 'new', 'kernels'))).toEqual(['v1-a.elf']);
});

it('keeps a few', () => {
  const cache = fileKernelCache(directory);
  for (let i = 0; i < 20; i++) cache.put(`k${i}`, Uint8Array.of(i));
  expect(readdirSync(directory)).toHaveLength(8);
});

it('is no trouble where it cannot be', () => {
  writeFileSync(join(directory, 'file'), '');
  const cache = fileKernelCache(join(directory, 'file', 'kernels'));
  cache.put('k', Uint8Array.of(1));
  expect(cache.get('k')).toBeUndefined();
});
