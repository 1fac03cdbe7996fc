import type { DomainResult } from '@xenolith/host';

/** What the command's exit status says. `--help` shows the same list. */
export const ExitStatus = {
  poweredOff: 0,
  internalError: 1,
  badInput: 2,
  crashed: 3,
  timeout: 4,
  rebooted: 5,
  suspended: 6,
  left: 130,
  outputClosed: 141,
} as const;
export type ExitStatus = (typeof ExitStatus)[keyof typeof ExitStatus];

/** What a guest's end makes of the exit status, unless something else does. */
export function statusOf({ reason }: DomainResult): ExitStatus {
  switch (reason) {
    case 'poweroff':
    // Somebody wanted it.
    case 'destroyed':
      return ExitStatus.poweredOff;
    case 'reboot':
      return ExitStatus.rebooted;
    case 'suspend':
      return ExitStatus.suspended;
    default:
      return ExitStatus.crashed;
  }
}

/** Of several guests, the first of these counts. */
const WORST_FIRST: readonly ExitStatus[] = [
  ExitStatus.crashed,
  ExitStatus.timeout,
  ExitStatus.suspended,
  ExitStatus.rebooted,
  ExitStatus.outputClosed,
  ExitStatus.left,
];

/** The exit status of a host with several guests. */
export const worstOf = (statuses: readonly ExitStatus[]): ExitStatus =>
  WORST_FIRST.find((status) => statuses.includes(status)) ?? ExitStatus.poweredOff;

export const EXIT_STATUS_HELP = `Exit status:
  0    the guest powered off (inspect, disasm: done)
  1    a fault of xenolith itself
  2    wrong usage, or an input that cannot be used
  3    the guest crashed, or its watchdog fired
  4    the guest was still running when --timeout was over
  5    the guest rebooted, with --on-reboot destroy
  6    the guest suspended itself, which ends it here
  130  left with Ctrl-] (up: Ctrl-] q)
  141  nobody reads standard output any more`;

export const WORST_FIRST_HELP = `With several guests the first of these counts that came to any of them: ${WORST_FIRST.join(', ')}.
A guest that was destroyed on purpose counts as one that powered off.`;
