import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { debianPieces } from '@xenolith-tooling/debian';

/** The command line as it is built; `XENOLITH_CLI` names another one, say an installed package's. */
export const cli = process.env.XENOLITH_CLI ?? fileURLToPath(new URL('../dist/cli.js', import.meta.url));

/** Debian's kernels and the yardstick initramfs, or the reason why they cannot be had here. */
export const { pieces, reason } = debianPieces();

export interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Arguments that boot a kernel of Debian's with the yardstick initramfs. */
export const bootArguments = (kernel: string, switches: string, ...options: string[]): string[] => [
  ...['run', kernel, '--ramdisk', pieces!.initrd, '--memory', '512'],
  ...['--cmdline', `console=hvc0 ${switches}`.trimEnd(), ...options],
];

/** The command line in a process of its own, with pipes or, by `script` of util-linux, on a terminal. */
export class Machine {
  stdout = '';
  stderr = '';
  private readonly child: ChildProcess;
  private readonly ended: Promise<number | null>;
  private readonly waiting = new Set<() => void>();
  /** What `expect` has still to look at, without carriage returns. */
  private fresh = '';

  constructor(
    args: readonly string[],
    { terminal = false, env = {} }: { terminal?: boolean; env?: Record<string, string> } = {},
  ) {
    if (!existsSync(cli)) throw new Error(`${cli} is not there: build it with \`npm run build\``);
    const command = [process.execPath, cli, ...args];
    // `exec`: the process that is killed and measured is node itself.
    const quoted = `exec ${command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')}`;
    this.child = terminal
      ? spawn('script', ['-qefc', quoted, '/dev/null'], {
          env: { ...process.env, ...env, TERM: 'vt100', SHELL: '/bin/sh' },
        })
      : spawn(command[0]!, command.slice(1), { env: { ...process.env, ...env } });
    this.child.stdout!.setEncoding('latin1').on('data', (text: string) => {
      this.stdout += text;
      this.fresh += text.replaceAll('\r', '');
      for (const look of this.waiting) look();
    });
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.child.stdin!.on('error', () => {});
    this.ended = new Promise((resolve, reject) => {
      this.child.on('error', reject).on('close', (status) => {
        resolve(status);
        for (const look of this.waiting) look();
      });
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  type(text: string): void {
    this.child.stdin!.write(text);
  }

  /** Waits until the console shows the pattern after what earlier calls found. @returns what stood before and in it */
  async expect(pattern: RegExp, seconds = 60): Promise<string> {
    let settle = (): void => {};
    return new Promise<string>((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(this.fresh);
        if (match) {
          const end = match.index + match[0].length;
          settle();
          resolve(this.fresh.slice(0, end));
          this.fresh = this.fresh.slice(end);
        } else if (this.child.exitCode !== null) {
          fail(`ended with ${this.child.exitCode} before ${pattern}`);
        }
      };
      const fail = (what: string): void => {
        settle();
        reject(new Error(`${what}; ${this.tail()}`));
      };
      const timer = setTimeout(() => fail(`no ${pattern} in ${seconds} s`), seconds * 1000);
      settle = () => {
        clearTimeout(timer);
        this.waiting.delete(look);
      };
      this.waiting.add(look);
      look();
    });
  }

  /** Waits for the end. */
  async end(): Promise<Ended> {
    const status = await this.ended;
    return { status, stdout: this.stdout, stderr: this.stderr };
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  private tail(): string {
    return `the console's end: ${JSON.stringify(this.stdout.slice(-600))}, standard error: ${this.stderr.slice(-600)}`;
  }
}

/** Runs the command line to its end, without input. */
export async function runToEnd(args: readonly string[]): Promise<Ended> {
  const machine = new Machine(args);
  try {
    return await machine.end();
  } finally {
    machine.kill();
  }
}
