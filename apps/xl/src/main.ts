import { BadInputError, NotImplementedError } from '@xenolith/host-interface';
import { CommanderError } from 'commander';
import { ExitStatus } from './exit-status.js';
import { createProgram } from './program.js';

/** Runs the command line. @returns the exit status; never throws */
export async function main(args: readonly string[]): Promise<number> {
  let status: number = ExitStatus.poweredOff;
  const program = createProgram((result) => {
    status = result;
  });
  try {
    await program.parseAsync(spellOutTrace(args), { from: 'user' });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : ExitStatus.badInput;
    if (error instanceof BadInputError || error instanceof NotImplementedError) {
      process.stderr.write(`xenolith: ${error.message}\n`);
      return ExitStatus.badInput;
    }
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`xenolith: this is a fault of xenolith itself; please report it.\n${text}\n`);
    return ExitStatus.internalError;
  }
}

/** `--trace KERNEL` must not take the kernel for a list of classes: alone, the option means all. */
export function spellOutTrace(args: readonly string[]): string[] {
  const end = args.indexOf('--');
  return args.map((arg, i) => (arg === '--trace' && (end < 0 || i < end) ? '--trace=all' : arg));
}
