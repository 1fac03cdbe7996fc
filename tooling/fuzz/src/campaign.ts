import { generate } from './generate.js';
import { Finding, Machine } from './machine.js';
import { format, type Program } from './program.js';
import { shrink } from './shrink.js';
import type { RecentTrace } from './trace.js';

export interface FuzzOptions {
  /** The first seed; the next ones follow. */
  seed: number;
  /** Steps of a program; guests often end before. */
  steps: number;
  /** Asked before each program with the steps made so far: is it enough? */
  until(steps: number): boolean;
  progress?(line: string): void;
  trace?: RecentTrace;
  /** Work that a hypercall may do at once; 0: it stops wherever it can. Default: the hypervisor's own. */
  workLimit?: number;
  /** For tests of the fuzzer: changes a new machine. */
  prepare?(machine: Machine): void;
}

export interface FuzzResult {
  steps: number;
  guests: number;
  finding: Finding | undefined;
  /** For people: how guests ended, or what was found and a short program that shows it. */
  report: string;
}

/** Seeds that one host runs before a new one is made. */
const EACH_HOST = 50;

/** One program, or two for domains that know each other. */
const programsOf = (seed: number, steps: number): Program[] =>
  seed % 4 === 0 ? [generate(seed, steps), generate(-seed, steps)] : [generate(seed, steps)];

/** Runs seed after seed until it is enough or something is found. */
export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const ends = new Map<string, number>();
  let [done, guests, machine] = [0, 0, await newMachine(options)];
  for (let { seed } = options; !options.until(done); seed++) {
    if ((seed - options.seed) % EACH_HOST === EACH_HOST - 1) {
      machine = await newMachine(options);
      options.progress?.(`seed ${seed}: ${done} steps`);
    }
    const programs = programsOf(seed, options.steps);
    guests += programs.length;
    try {
      const outcome = await machine.run(...programs);
      done += outcome.steps;
      for (const end of outcome.ends.map(withoutNumbers)) ends.set(end, (ends.get(end) ?? 0) + 1);
    } catch (error) {
      if (!(error instanceof Finding)) throw error;
      return { steps: done, guests, finding: error, report: await explain(error, seed, programs, options) };
    }
  }
  const list = [...ends].sort((a, b) => b[1] - a[1]).map(([end, n]) => `${String(n).padStart(6)}  ${end}`);
  return {
    steps: done,
    guests,
    finding: undefined,
    report: [`${done} steps in ${guests} guests, which ended so:`, ...list].join('\n'),
  };
}

async function newMachine({ trace, workLimit, prepare }: FuzzOptions): Promise<Machine> {
  const machine = await Machine.create(trace);
  if (workLimit !== undefined) machine.host.hypervisor.memory.work.limit = workLimit;
  prepare?.(machine);
  return machine;
}

const withoutNumbers = (end: string): string => end.replace(/\b[0-9a-f]*\d[0-9a-f]*\b/g, '…');

/** The report of a finding, with the shortest programs that show it on a new host. */
async function explain(
  found: Finding,
  seed: number,
  programs: Program[],
  options: FuzzOptions,
): Promise<string> {
  let last = found;
  let isAlone = false;
  const shorter = await shrink(programs, async (candidates) => {
    const machine = await newMachine(options);
    try {
      await machine.run(...candidates);
      return false;
    } catch (error) {
      if (!(error instanceof Finding)) throw error;
      [last, isAlone] = [error, true];
      return true;
    }
  });
  return [
    `Seed ${seed}, ${options.steps} steps: ${found.message}`,
    ...found.trace,
    isAlone ? `Shorter: ${last.message}` : 'On a new host this does not happen: it needs what ran before.',
    ...(isAlone ? last.trace : []),
    ...shorter.map((program, i) => `Program ${i}:\n${format(program)}`),
  ].join('\n');
}
