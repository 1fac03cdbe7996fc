import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What is tested: what was built here, or another build that the environment names. */
const cli = process.env.XENOLITH_CLI ?? fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const image = (name: string) =>
  fileURLToPath(new URL(`../../../packages/guest-kernels/images/${name}.elf`, import.meta.url));

/** The guest kernels' image files. */
export const kernels = {
  bench: image('bench'),
  demo: image('demo'),
  fault: image('fault'),
  hello: image('hello'),
  net: image('net'),
  xenstore: image('xenstore'),
};

export interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface SpawnOptions {
  /** Standard input; none: it is closed at once. `open`: it stays open and empty. */
  input?: string | 'open';
  env?: Record<string, string>;
  /** What to type when a text shows up on standard output, in this order. */
  dialogue?: readonly (readonly [string, string])[];
}

function run(program: string, args: readonly string[], options: SpawnOptions): Promise<Outcome> {
  if (!existsSync(cli)) throw new Error('The command line is not built: npm run build.');
  const child = spawn(program, args, { env: { ...process.env, ...options.env } });
  const outcome: Outcome = { status: null, stdout: '', stderr: '' };
  const { dialogue = [], input } = options;
  let step = 0;
  let seen = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    outcome.stdout += chunk;
    for (; step < dialogue.length; step++) {
      const [text, answer] = dialogue[step]!;
      const at = outcome.stdout.indexOf(text, seen);
      if (at < 0) break;
      seen = at + text.length;
      child.stdin.write(answer);
    }
  });
  child.stderr.on('data', (chunk: Buffer) => {
    outcome.stderr += chunk;
  });
  // A program that has ended takes no input any more.
  child.stdin.on('error', () => {});
  if (input !== undefined && input !== 'open') child.stdin.end(input);
  else if (input === undefined && dialogue.length === 0) child.stdin.end();
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve({ ...outcome, status }));
  });
}

/** Runs the built command line without a terminal. */
export const xenolith = (args: readonly string[], options: SpawnOptions = {}): Promise<Outcome> =>
  run(process.execPath, [cli, ...args], options);

const quote = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;

/**
 * Runs the built command line on a terminal of its own (script(1)); standard output is what the terminal shows. At its
 * end comes `TERMINAL AS BEFORE` if the command left the terminal's settings as it found them.
 */
export function xenolithOnTerminal(args: readonly string[], options: SpawnOptions = {}): Promise<Outcome> {
  const command = [process.execPath, cli, ...args].map(quote).join(' ');
  const shell = `before=$(stty -g); ${command}; status=$?; [ "$(stty -g)" = "$before" ] && echo "TERMINAL AS BEFORE"; exit $status`;
  return run('script', ['--quiet', '--return', '--command', shell, '/dev/null'], options);
}
