import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { debianPieces } from './pieces.mjs';

describe('where apt is not installed and nothing is cached', () => {
  let cache: string;

  beforeEach(() => {
    cache = mkdtempSync(join(tmpdir(), 'pieces-'));
    vi.stubEnv('XENOLITH_CACHE', cache);
    vi.stubEnv('PATH', cache);
  });

  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(cache, { recursive: true });
  });

  it('gives the reason, so that a test can skip itself', () => {
    vi.stubEnv('CI', '');
    const { pieces, reason } = debianPieces();
    expect(pieces).toBeUndefined();
    expect(reason).toMatch(/is not installed|are made on x86-64 Linux/);
  });

  it('throws in CI, where nothing may be skipped', () => {
    vi.stubEnv('CI', 'true');
    expect(() => debianPieces()).toThrow(/is not installed|are made on x86-64 Linux/);
  });
});
