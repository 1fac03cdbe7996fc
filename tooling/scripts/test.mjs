// `npm test`: installs and builds what is needed, then runs every test; further arguments go to vitest.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { prepare, runScript } from './src/prepare.mjs';
import { root } from './src/workspace.mjs';

await runScript(() => {
  prepare();
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const args = [vitest, 'run', ...process.argv.slice(2)];
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  process.exitCode = status ?? 1;
});
