// Xen public header sched.h.

import { handle, s32, struct, u16, u32, u64 } from './layout/index.js';

/** Operations of `sched_op`. */
export const SCHEDOP_yield = 0;
export const SCHEDOP_block = 1;
export const SCHEDOP_shutdown = 2;
export const SCHEDOP_poll = 3;
export const SCHEDOP_remote_shutdown = 4;
export const SCHEDOP_shutdown_code = 5;
export const SCHEDOP_watchdog = 6;
export const SCHEDOP_pin_override = 7;

/** Reasons of a shutdown. */
export const SHUTDOWN_poweroff = 0;
export const SHUTDOWN_reboot = 1;
export const SHUTDOWN_suspend = 2;
export const SHUTDOWN_crash = 3;
export const SHUTDOWN_watchdog = 4;
export const SHUTDOWN_soft_reset = 5;
export const SHUTDOWN_MAX = 5;

/** Argument of `SCHEDOP_shutdown` and `SCHEDOP_shutdown_code`. */
export const SchedShutdown = struct('struct sched_shutdown', {
  /** `SHUTDOWN_*`. */
  reason: u32,
});

/** Argument of `SCHEDOP_poll`. */
export const SchedPoll = struct('struct sched_poll', {
  /** Array of u32 ports. */
  ports: handle,
  nr_ports: u32,
  /** System time in ns; 0 for none. */
  timeout: u64,
});

/** Argument of `SCHEDOP_remote_shutdown`. */
export const SchedRemoteShutdown = struct('struct sched_remote_shutdown', { domain_id: u16, reason: u32 });

/** Argument of `SCHEDOP_watchdog`. */
export const SchedWatchdog = struct('struct sched_watchdog', {
  id: u32,
  /** Seconds; 0 disarms. */
  timeout: u32,
});

/** Argument of `SCHEDOP_pin_override`. */
export const SchedPinOverride = struct('struct sched_pin_override', { pcpu: s32 });
