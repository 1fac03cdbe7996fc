import type { TraceClass } from '@xenolith/host-interface';
import type { SchedulerName } from '@xenolith/hypervisor-core';
import { InvalidArgumentError } from 'commander';

/** A whole number in a range, for commander. */
export function wholeNumber(min: number, max: number, unit = '') {
  return (text: string): number => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) {
      throw new InvalidArgumentError(
        `It should be a whole number from ${min} to ${max}${unit && ` ${unit}`}.`,
      );
    }
    return value;
  };
}

/** Seconds, with a fraction if wanted; at most some 24 days, as timers go. */
export function seconds(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value > 0 && value <= 2_000_000)) {
    throw new InvalidArgumentError('It should be a number of seconds above 0.');
  }
  return value;
}

/** A number as C has it: decimal or 0x…. */
export function address(text: string): bigint {
  if (!/^(\d+|0x[0-9a-f]+)$/i.test(text) || BigInt(text) >= 1n << 64n) {
    throw new InvalidArgumentError('It should be a number such as 4096 or 0x1000.');
  }
  return BigInt(text);
}

export const SCHEDULERS = ['rr', 'credit', 'null'] as const satisfies SchedulerName[];

export const TRACE_CLASSES = [
  'hypercall',
  'trap',
  'event',
  'xenstore',
  'sched',
  'mm',
  'emulate',
] as const satisfies TraceClass[];

/** `all`, or classes with commas between them; plurals are forgiven. */
export function traceClasses(text: string): ReadonlySet<TraceClass> {
  const chosen = new Set<TraceClass>();
  for (const word of text.split(',')) {
    if (word === 'all') for (const cls of TRACE_CLASSES) chosen.add(cls);
    else {
      const cls = TRACE_CLASSES.find((name) => name === word || `${name}s` === word);
      if (!cls) throw new InvalidArgumentError(`Classes are ${TRACE_CLASSES.join(', ')}, or all.`);
      chosen.add(cls);
    }
  }
  return chosen;
}

/** Bytes in hexadecimal, with or without blanks, commas and 0x. */
export function hexBytes(text: string): Uint8Array {
  const digits = text.replace(/0x|[\s,]/gi, '');
  if (!/^([0-9a-f]{2})+$/i.test(digits)) {
    throw new InvalidArgumentError('It should be bytes in hexadecimal, such as "48 89 d8".');
  }
  return Uint8Array.from(digits.match(/../g)!, (pair) => Number.parseInt(pair, 16));
}
