import { spawn } from 'node:child_process';

/**
 * @typedef {object} Line
 * @property {string} text
 * @property {number} at milliseconds since the process was started
 */

/**
 * Runs a command and takes the time of each line that it prints, until `until` says that one is the last; then the
 * process is killed. Lines that wait in the pipe together get the same time.
 * @param {readonly string[]} command
 * @param {{ until?: (line: string) => boolean, limitSeconds?: number }} [options]
 * @returns {Promise<Line[]>} rejects when it ends or the time is over before its last line
 */
export function timedLines(command, { until = () => false, limitSeconds = 600 } = {}) {
  const started = performance.now();
  const [program, ...args] = /** @type {[string, ...string[]]} */ (command);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  /** @type {Line[]} */
  const lines = [];
  let rest = '';
  let errors = '';
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => end(`gave no result in ${limitSeconds} s`), limitSeconds * 1000);
    /** @param {string} [problem] */
    function end(problem) {
      clearTimeout(limit);
      child.kill('SIGKILL');
      if (problem === undefined) resolve(lines);
      else reject(new Error(`${command.join(' ')}: ${problem}\n${errors.slice(-1000)}`));
    }
    child.stderr.on('data', (/** @type {Buffer} */ data) => {
      errors += data.toString('latin1');
    });
    child.stdout.on('data', (/** @type {Buffer} */ data) => {
      const at = performance.now() - started;
      const texts = (rest + data.toString('latin1')).split('\n');
      rest = texts.pop() ?? '';
      for (const line of texts) {
        const text = line.replaceAll('\r', '');
        lines.push({ text, at });
        if (until(text)) {
          end();
          return;
        }
      }
    });
    child.on('error', (error) => end(error.message));
    child.on('close', (code) => end(`ended with status ${code} before its last line`));
  });
}

/**
 * Runs a command to its first byte of output; then it is killed.
 * @param {readonly string[]} command @returns {Promise<number>} milliseconds since the process was started
 */
export function firstByte(command) {
  const started = performance.now();
  const [program, ...args] = /** @type {[string, ...string[]]} */ (command);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  return new Promise((resolve, reject) => {
    child.stdout.once('data', () => {
      resolve(performance.now() - started);
      child.kill('SIGKILL');
    });
    child.on('error', reject);
    child.on('close', () => reject(new Error(`${command.join(' ')} printed nothing`)));
  });
}

/**
 * Runs guests, one process each or one for all, until each has printed a line DONE, and gives what they measured: lines
 * `RESULT name value unit`. What a process prints besides is shown if anything goes wrong.
 * @param {readonly (readonly string[])[]} commands started in order, each once the one before `isUp`
 * @param {{ guests?: number, isUp?: (index: number) => Promise<void>, limitSeconds?: number }} [options] guests: lines DONE
 *   to wait for; default: one a command
 * @returns {Promise<Map<string, number>>}
 */
export async function guestResults(commands, { guests = commands.length, isUp, limitSeconds = 600 } = {}) {
  /** @type {Map<string, number>} */
  const results = new Map();
  /** @type {import('node:child_process').ChildProcess[]} */
  const children = [];
  let said = '';
  let done = 0;
  /** @type {(problem?: string) => void} */
  let end = () => {};
  const ended = new Promise((resolve, reject) => {
    end = (problem) =>
      problem === undefined ? resolve(undefined) : reject(new Error(`${problem}\n${said.slice(-2000)}`));
  });
  const limit = setTimeout(() => end(`no end in ${limitSeconds} s`), limitSeconds * 1000);
  const take = (/** @type {string} */ line) => {
    said += `${line}\n`;
    const [, name, value] = /RESULT (\S+) ([\d.]+) \S+$/.exec(line) ?? [];
    if (name !== undefined) results.set(name, Number(value));
    if (/\bFAILED\b|Kernel panic/.test(line)) end(line);
    if (/\bDONE$/.test(line) && ++done === guests) end();
  };
  try {
    for (const [index, command] of commands.entries()) {
      const [program, ...args] = /** @type {[string, ...string[]]} */ (command);
      const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      children.push(child);
      for (const stream of [child.stdout, child.stderr]) {
        let rest = '';
        stream.on('data', (/** @type {Buffer} */ data) => {
          const lines = (rest + data.toString('latin1')).split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines) take(line.trimEnd());
        });
      }
      child.on('error', (error) => end(error.message));
      child.on('close', (code) => code !== 0 && end(`${program} ended with status ${code}`));
      if (index < commands.length - 1) await Promise.race([ended, isUp?.(index)]);
    }
    await ended;
    return results;
  } finally {
    clearTimeout(limit);
    for (const child of children) child.kill('SIGKILL');
  }
}
