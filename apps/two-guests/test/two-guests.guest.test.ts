import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));

it('prints what its README shows', () => {
  const readme = readFileSync(join(root, 'apps/two-guests/README.md'), 'utf8');
  const shown = /```\n(\/local[\s\S]*?)```/.exec(readme)![1];
  const run = spawnSync(process.execPath, ['apps/two-guests/dist/main.js'], { cwd: root, encoding: 'utf8' });
  expect([run.stderr, run.stdout, run.status]).toEqual(['', shown, 0]);
});
