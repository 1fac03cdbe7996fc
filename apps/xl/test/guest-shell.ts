import type { Machine } from './debian-machine.js';

/** For loaded machines: a boot to the login takes half a minute. */
export const BOOT = 400;

/** A shell on a guest's console whose prompt is dash's `# `, at the beginning of a line. */
export class Shell {
  constructor(private readonly machine: Machine) {}

  /** Logs in as root and starts dash, which draws no lines of its own. */
  static async login(machine: Machine): Promise<Shell> {
    await machine.expect(/login: $/, BOOT);
    machine.type('root\r');
    await machine.expect(/Password: $/);
    machine.type('xenolith\r');
    await machine.expect(/root@debian:~# $/);
    machine.type('exec sh\r');
    // The prompt stands behind what bash said to the terminal.
    await machine.expect(/# $/);
    const shell = new Shell(machine);
    await shell.quieten();
    return shell;
  }

  /** The kernel has no say on the console any more: on a loaded machine it complains of that. */
  async quieten(): Promise<void> {
    await this.run('dmesg -n 1');
  }

  /** Runs a command. @returns what it printed, line by line */
  async run(command: string, seconds = 120): Promise<string[]> {
    this.machine.type(`${command}\r`);
    const said = await this.machine.expect(/\n# $/, seconds);
    return said.split('\n').slice(1, -1);
  }

  /** Runs it again and again until the pattern is in what it prints. */
  async until(command: string, pattern: RegExp): Promise<void> {
    for (let tries = 0; tries < 100; tries++) {
      if (pattern.test((await this.run(command)).join('\n'))) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`${command} never shows ${pattern}`);
  }
}
