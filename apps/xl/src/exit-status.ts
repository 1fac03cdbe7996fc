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

export const EXIT_STATUS_HELP = `Exit status:
  0    the guest powered off (inspect, disasm: done)
  1    a fault of xenolith itself
  2    wrong usage, or an input that cannot be used
  3    the guest crashed, or its watchdog fired
  4    the guest was still running when --timeout was over
  5    the guest rebooted, with --on-reboot destroy
  6    the guest suspended itself, which ends it here
  130  left with Ctrl-]
  141  nobody reads standard output any more`;
