#!/usr/bin/env node
// Fuzzes the hypervisor: node tooling/fuzz/main.mjs [--seconds N] [--seed S] [--steps N] [--work UNITS]
// Needs no build: the sources are bundled first.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'tsup';

const here = fileURLToPath(new URL('.', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'fuzz-'));
try {
  await build({
    config: false,
    silent: true,
    entry: { main: join(here, 'src/main.ts') },
    outDir: work,
    format: 'esm',
    outExtension: () => ({ js: '.mjs' }),
    target: 'node20',
    tsconfig: join(here, '../../tsconfig.json'),
    noExternal: [/^@xenolith\//],
    clean: false,
  });
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: '1' },
      steps: { type: 'string', default: '500' },
      work: { type: 'string' },
    },
  });
  const { main } = await import(pathToFileURL(join(work, 'main.mjs')).href);
  process.exitCode = await main({
    seconds: Number(values.seconds),
    seed: Number(values.seed),
    steps: Number(values.steps),
    ...(values.work !== undefined && { workLimit: Number(values.work) }),
  });
} finally {
  rmSync(work, { recursive: true, force: true });
}
