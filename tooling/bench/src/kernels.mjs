import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildBare, buildNative, isInstalled } from './programs.mjs';
import { median, ratio, table } from './statistics.mjs';
import { timedLines } from './watch.mjs';

/** Results that every engine must give, and instructions of the x86-64 build. */
const KERNELS = {
  crc: { result: '28025c24', instructions: 93_068_049 },
  sieve: { result: '000132a2', instructions: 69_983_417 },
  fib: { result: '000cb228', instructions: 40_388_051 },
};
/** @typedef {keyof typeof KERNELS} Kernel */
const NAMES = /** @type {Kernel[]} */ (Object.keys(KERNELS));

/** @typedef {{ name: string, command: string[] }} Engine */

const repository = fileURLToPath(new URL('../../../', import.meta.url));
const script = (/** @type {string} */ name) => fileURLToPath(new URL(`../${name}`, import.meta.url));

/** Where the benchmark looks for v86, which is no dependency: it would cost everybody a download of 18 MB. */
const v86Home = join(repository, '.cache/bench');

/**
 * The engines that this machine has; for each other one a sentence.
 * @param {string} directory for built programs @param {number} repetitions of each kernel in one run of an engine
 */
export function findEngines(directory, repetitions) {
  /** @type {Engine[]} */
  const engines = [];
  /** @type {string[]} */
  const notes = [];
  for (const tool of ['clang', 'ld.lld']) {
    if (isInstalled(tool)) continue;
    notes.push(`The kernels are skipped: ${tool} is not installed (Debian: apt install clang lld).`);
    return { engines, notes };
  }
  const flat = buildBare('flat', directory, repetitions);
  engines.push({ name: 'xenolith', command: [process.execPath, script('run-interpreter.mjs'), flat] });

  if (process.arch === 'x64' && process.platform === 'linux') {
    engines.push({ name: 'native', command: [buildNative(directory, repetitions)] });
  } else {
    notes.push('Native code is skipped: this is no x86-64 Linux machine.');
  }

  const v86 = join(v86Home, 'node_modules/v86');
  if (existsSync(join(v86, 'build/libv86.mjs'))) {
    const program = buildBare('multiboot', directory, repetitions);
    engines.push({ name: 'v86 (32-bit)', command: [process.execPath, script('run-v86.mjs'), program, v86] });
  } else {
    notes.push('v86 is skipped: not installed (npm install --prefix .cache/bench v86).');
  }

  if (isInstalled('qemu-system-x86_64')) {
    const machine = ['-accel', 'tcg', '-m', '64', '-display', 'none', '-serial', 'stdio', '-no-reboot'];
    const debugExit = ['-device', 'isa-debug-exit,iobase=0xf4,iosize=4'];
    const kernel = ['-kernel', buildBare('pvh', directory, repetitions)];
    engines.push({ name: 'QEMU TCG', command: ['qemu-system-x86_64', ...machine, ...debugExit, ...kernel] });
  } else {
    notes.push('QEMU is skipped: not installed (Debian: apt install qemu-system-x86).');
  }
  return { engines, notes };
}

/**
 * One run of an engine: milliseconds of each repetition but the first, in which engines compile.
 * @param {Engine} engine
 */
async function runOnce(engine) {
  const lines = await timedLines(engine.command, { until: (line) => line === 'done' });
  /** @type {Record<Kernel, number[]>} */
  const times = { crc: [], sieve: [], fib: [] };
  let before = 0;
  for (const { text, at } of lines) {
    const [name, result] = text.split(' ');
    const kernel = NAMES.find((known) => known === name);
    if (kernel) {
      if (KERNELS[kernel].result !== result) throw new Error(`${engine.name}: ${kernel} gives ${result}`);
      times[kernel].push(at - before);
    }
    before = at;
  }
  for (const name of NAMES) if (times[name].length > 1) times[name].shift();
  return times;
}

/**
 * @param {readonly Engine[]} engines @param {number} rounds
 * @returns {Promise<string>} what to print
 */
export async function measureKernels(engines, rounds) {
  /** @type {Map<string, Record<Kernel, number[]>>} */
  const all = new Map(engines.map(({ name }) => [name, { crc: [], sieve: [], fib: [] }]));
  // Interleaved, so that a busy moment of the machine meets all.
  for (let round = 0; round < rounds; round++) {
    for (const engine of engines) {
      const times = await runOnce(engine);
      for (const name of NAMES) all.get(engine.name)?.[name].push(...times[name]);
    }
  }
  const medians = new Map(
    [...all].map(([engine, times]) => [engine, NAMES.map((name) => median(times[name]))]),
  );
  const ours = medians.get('xenolith') ?? [];
  const rows = [['kernels (ms)', ...NAMES, ...NAMES.map((name) => `xenolith's speed, ${name}`)]];
  for (const [engine, times] of medians) {
    const ratios = times.map((time, i) =>
      engine === 'xenolith' ? '1' : `${ratio(time / (ours[i] ?? 1))} x`,
    );
    rows.push([engine, ...times.map((time) => time.toFixed(1)), ...ratios]);
  }
  const mips = NAMES.map((name, i) => Math.round(KERNELS[name].instructions / (ours[i] ?? 1) / 1000));
  return `${table(rows)}\nxenolith runs ${mips.join(', ')} million instructions a second.`;
}
