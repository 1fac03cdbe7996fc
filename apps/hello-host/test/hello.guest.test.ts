import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const run = (...args: string[]) =>
  spawnSync(process.execPath, ['apps/hello-host/dist/main.js', ...args], { cwd: root, encoding: 'utf8' });

it('prints what its README shows', () => {
  const readme = readFileSync(join(root, 'apps/hello-host/README.md'), 'utf8');
  const shown = /```\n(Hello[\s\S]*?)```/.exec(readme)![1];
  const { stdout, stderr, status } = run();
  expect([(stdout + stderr).replaceAll('\r', ''), status]).toEqual([shown, 0]);
});

it('boots another kernel, and says how it ended', () => {
  const { stderr, status } = run('packages/guest-kernels/images/fault.elf', 'panic');
  expect(status).toBe(1);
  expect(stderr).toMatch(/^The guest ended: .+\.\n$/);
});
