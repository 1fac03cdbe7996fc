#!/usr/bin/env node
// Runs all vectors on this machine's processor and writes packages/cpu-emulator/fixtures/vectors-*.bin.gz.
//   node generate.mjs [FAMILY…]
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'tsup';

const here = fileURLToPath(new URL('.', import.meta.url));
const emulator = join(here, '../../packages/cpu-emulator');
const work = mkdtempSync(join(tmpdir(), 'vectors-'));
try {
  // The inputs come from the same sources that the tests use, bundled so that nothing needs to be built before.
  await build({
    config: false,
    silent: true,
    entry: { vectors: join(emulator, 'src/testing/vectors/index.ts') },
    outDir: work,
    format: 'esm',
    outExtension: () => ({ js: '.mjs' }),
    target: 'node20',
    tsconfig: join(here, '../../tsconfig.json'),
    noExternal: [/^@xenolith\//],
    clean: false,
  });
  const { FAMILIES, STATE_BYTES, VectorState, record, writeFixture } = await import(
    pathToFileURL(join(work, 'vectors.mjs')).href
  );
  const harness = join(work, 'harness');
  execFileSync('gcc', ['-O1', '-Wall', '-Wextra', '-o', harness, join(here, 'harness.c')], {
    stdio: 'inherit',
  });

  const wanted = process.argv.slice(2);
  for (const family of FAMILIES) {
    if (wanted.length > 0 && !wanted.includes(family.name)) continue;
    const sets = family.sets().map((/** @type {any} */ set) => ({
      key: set.key,
      inputs: set.vectors().map((/** @type {any} */ vector) => vector.before),
    }));
    const total = sets.reduce((/** @type {number} */ sum, /** @type {any} */ f) => sum + f.inputs.length, 0);
    const bytes = new Uint8Array(total * STATE_BYTES);
    let at = 0;
    for (const { inputs } of sets) {
      for (const s of inputs) {
        bytes.set(s.bytes, at);
        at += STATE_BYTES;
      }
    }
    writeFileSync(join(work, 'cases'), bytes);
    execFileSync(harness, [join(work, 'cases'), join(work, 'results')], { stdio: 'inherit' });
    const results = new Uint8Array(readFileSync(join(work, 'results')));
    const recorded = new Map();
    at = 0;
    for (const { key, inputs } of sets) {
      const after = inputs.map(() => {
        at += STATE_BYTES;
        return new VectorState(results.subarray(at - STATE_BYTES, at));
      });
      recorded.set(key, record(inputs, after));
    }
    mkdirSync(join(emulator, 'fixtures'), { recursive: true });
    const fixture = gzipSync(writeFixture(recorded), { level: 9 });
    writeFileSync(join(emulator, `fixtures/vectors-${family.name}.bin.gz`), fixture);
    console.log(`${family.name}: ${sets.length} sets, ${total} vectors, ${fixture.length} bytes`);
  }
} finally {
  rmSync(work, { recursive: true });
}
