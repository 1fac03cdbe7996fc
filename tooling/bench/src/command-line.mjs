import { fileURLToPath } from 'node:url';

/** The command line as it is built. */
export const commandLine = fileURLToPath(new URL('../../../apps/xl/dist/cli.js', import.meta.url));
