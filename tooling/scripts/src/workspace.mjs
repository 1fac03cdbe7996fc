import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root directory. */
export const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The command line's entry, which `npm start` and `npm run xenolith` run. */
export const commandLine = join(root, 'apps/xl/dist/cli.js');

/** `npm start` runs the command line with these arguments. */
export const startArguments = ['demo'];

/** The exact pnpm of package.json's `packageManager`, as npx takes it: `pnpm@10.x.y`. */
export function pnpmVersion() {
  return /** @type {string} */ (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).packageManager);
}
