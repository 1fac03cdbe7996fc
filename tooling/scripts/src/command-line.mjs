import { pathToFileURL } from 'node:url';
import { commandLine } from './workspace.mjs';

/**
 * Runs the built command line in this process: a second `node` would cost its start-up again, and the terminal and
 * the exit status are then the command line's own.
 * @param {string[]} args
 */
export async function runCommandLine(args) {
  process.argv = [process.execPath, commandLine, ...args];
  await import(pathToFileURL(commandLine).href);
}
