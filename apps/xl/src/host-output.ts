import type { Logger, LogLevel, TraceClass, TraceSink } from '@xenolith/host-interface';
import { traceLine } from './trace-text.js';

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** What the host says of itself, for a person: lines from `level` on. */
export function logger(level: LogLevel, say: (line: string) => void): Logger {
  const lowest = LEVELS.indexOf(level);
  const said = new Set<string>();
  return {
    log(at, part, message) {
      // A crash is told at the end, with all that is known of it.
      if (part === 'domain' && at === 'error') return;
      if (LEVELS.indexOf(at) < lowest || said.has(message)) return;
      // A guest that does the same wrong thing all the time is worth one line.
      if (said.size < 1000) said.add(message);
      say(`xenolith: ${part}: ${message}`);
    },
  };
}

/** `--trace`: a line for each event of the classes. @param now system time in nanoseconds */
export function tracer(
  classes: ReadonlySet<TraceClass>,
  say: (line: string) => void,
  now: () => number,
): TraceSink {
  return {
    wants: (cls) => classes.has(cls),
    emit: (event) => say(traceLine(event, now())),
  };
}
