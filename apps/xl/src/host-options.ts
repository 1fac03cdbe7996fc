import { type Command, Option } from 'commander';
import { SCHEDULERS, seconds, TRACE_CLASSES, traceClasses } from './arguments.js';

/** Options of all commands that run guests. */
export function addHostOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--clock <mode>',
        'real: the clock on the wall; paced: an instruction is 1 ns, idle time is real; virtual: idle time is skipped, and every run is the same',
      )
        .choices(['real', 'paced', 'virtual'])
        .default('real'),
    )
    .addOption(
      new Option(
        '--sched <scheduler>',
        'rr: vCPUs take turns; credit: by weight and cap; null: whoever runs is not disturbed',
      )
        .choices(SCHEDULERS)
        .default('rr'),
    )
    .option('-t, --timeout <seconds>', 'stop after so much real time, with exit status 4', seconds)
    .addOption(
      new Option(
        '--trace [classes]',
        `print what happens on standard error: ${TRACE_CLASSES.join(', ')} or all`,
      ).argParser(traceClasses),
    )
    .option('--stats', 'at the end: instructions, speed, exits, hypercalls')
    .option(
      '--xenstore-socket <path>',
      "serve xenstore on a Unix socket, for Xen's own tools (XENSTORED_PATH)",
    )
    .addOption(
      new Option('--log <level>', 'how much the host says on standard error')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('warn'),
    );
}
