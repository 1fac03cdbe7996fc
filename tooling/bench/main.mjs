#!/usr/bin/env node
// Measures Xenolith beside others and prints ratios: node tooling/bench/main.mjs [--quick] [--rounds N] [PART …]
// Parts: see PARTS; without one, all. What is not installed is skipped with a sentence. Build first.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureBoot } from './src/boot.mjs';
import { commandLine } from './src/command-line.mjs';
import { comparisonTable } from './src/devices/comparison.mjs';
import { measureDisk } from './src/devices/disk.mjs';
import { measureNetwork } from './src/devices/network.mjs';
import { measureBackends, measureEvents, measureHellos } from './src/devices/ours-alone.mjs';
import { measureFirstByte } from './src/first-byte.mjs';
import { findEngines, measureKernels } from './src/kernels.mjs';
import { measureXenstore } from './src/xenstore.mjs';

const PARTS = ['kernels', 'boot', 'start', 'xenstore', 'disk', 'network', 'backends', 'events', 'hellos'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, rounds: { type: 'string' } },
});
const wrong = positionals.find((part) => !PARTS.includes(part));
const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
if (wrong !== undefined || !Number.isInteger(rounds) || rounds < 1) {
  console.error(`usage: main.mjs [--quick] [--rounds N] [${PARTS.join(' | ')}] …`);
  process.exit(2);
}
if (!existsSync(commandLine)) {
  console.error('The command line is not built: npm run build');
  process.exit(1);
}

const wants = (/** @type {string} */ part) => positionals.length === 0 || positionals.includes(part);
const directory = mkdtempSync(join(tmpdir(), 'xenolith-bench-'));
try {
  console.log(
    `Node ${process.versions.node}, ${cpus()[0]?.model}; medians of ${rounds} interleaved rounds\n`,
  );
  if (wants('kernels')) {
    const { engines, notes } = findEngines(directory, values.quick ? 2 : 6);
    if (engines.length > 0) console.log(await measureKernels(engines, rounds));
    for (const note of notes) console.log(note);
    console.log();
  }
  if (wants('boot')) console.log(`${await measureBoot(directory, values.quick ? 1 : Math.min(rounds, 3))}\n`);
  if (wants('start')) console.log(`${await measureFirstByte(values.quick ? 3 : 2 * rounds)}\n`);
  if (wants('xenstore')) {
    console.log(await measureXenstore(directory, values.quick ? 1 : Math.min(rounds, 3), values.quick));
    console.log();
  }
  const { lines, notes } = await measureDevices();
  if (lines.length > 0) console.log(comparisonTable(lines));
  for (const note of notes) console.log(note);
} finally {
  rmSync(directory, { recursive: true, force: true });
}

/** The parts about devices and guests, which share one table. */
async function measureDevices() {
  const { quick } = values;
  const few = quick ? 1 : Math.min(rounds, 3);
  /** @type {import('./src/devices/comparison.mjs').Measured[]} */
  const lines = [];
  /** @type {string[]} */
  const notes = [];
  const add = (/** @type {{ lines: typeof lines, note?: string }} */ part) => {
    lines.push(...part.lines);
    if (part.note) notes.push(part.note);
  };
  if (wants('disk'))
    add(await measureDisk(directory, { rounds: few, mib: quick ? 16 : 64, seconds: quick ? 1 : 3 }));
  if (wants('network')) {
    add(await measureNetwork(directory, { rounds: few, mib: quick ? 8 : 64, count: quick ? 50 : 200 }));
  }
  if (wants('backends')) add({ lines: await measureBackends({ rounds, requests: quick ? 3200 : 32_000 }) });
  if (wants('events')) add({ lines: await measureEvents({ rounds, trips: quick ? 5000 : 50_000 }) });
  if (wants('hellos')) add({ lines: await measureHellos({ rounds, counts: [1, 10, 100] }) });
  return { lines, notes };
}
