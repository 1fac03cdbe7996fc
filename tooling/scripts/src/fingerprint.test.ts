import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { buildFingerprint, installFingerprint } from './fingerprint.mjs';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fingerprint-'));
  for (const directory of ['packages/a/src', 'packages/a/dist', 'apps', 'tooling/tsconfig']) {
    mkdirSync(join(root, directory), { recursive: true });
  }
  const files = [
    'package.json',
    'pnpm-lock.yaml',
    'pnpm-workspace.yaml',
    'turbo.json',
    'tooling/tsconfig/base.json',
  ];
  for (const file of [...files, 'packages/a/src/index.ts']) writeFileSync(join(root, file), '{}');
});

afterEach(() => rmSync(root, { recursive: true }));

it('is the same while nothing changes', () => {
  expect(buildFingerprint(root)).toBe(buildFingerprint(root));
});

it.each([
  [
    'a source of the same size and another time',
    () => utimesSync(join(root, 'packages/a/src/index.ts'), 1, 1),
  ],
  ['a new source', () => writeFileSync(join(root, 'packages/a/src/new.ts'), '')],
  ['a removed source', () => rmSync(join(root, 'packages/a/src/index.ts'))],
  ['the lockfile', () => writeFileSync(join(root, 'pnpm-lock.yaml'), 'changed')],
])('changes with %s', (_what, change) => {
  const before = buildFingerprint(root);
  change();
  expect(buildFingerprint(root)).not.toBe(before);
});

it.each(['packages/a/dist/index.js', 'packages/a/src/index.test.ts', 'packages/a/README.md'])(
  'does not change with %s',
  (file) => {
    const before = buildFingerprint(root);
    writeFileSync(join(root, file), 'new');
    expect(buildFingerprint(root)).toBe(before);
  },
);

it('asks for an installation when the lockfile changes, not when a source does', () => {
  const before = installFingerprint(root);
  writeFileSync(join(root, 'packages/a/src/index.ts'), 'changed');
  expect(installFingerprint(root)).toBe(before);
  writeFileSync(join(root, 'pnpm-lock.yaml'), 'changed');
  expect(installFingerprint(root)).not.toBe(before);
});
