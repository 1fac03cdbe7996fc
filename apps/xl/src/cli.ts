#!/usr/bin/env node
import * as nodeModule from 'node:module';

// Node 22 and later keep compiled code between runs.
(nodeModule as { enableCompileCache?: () => void }).enableCompileCache?.();

const { main } = await import('./main.js');
const status = await main(process.argv.slice(2));
// Whatever waits in the pipe goes out first; then nothing may keep the process (an open standard input would).
process.stdout.write('', () => process.exit(status));
