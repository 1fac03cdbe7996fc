import type { CrashReport } from '@xenolith/hypervisor-core';
import {
  SHUTDOWN_crash,
  SHUTDOWN_poweroff,
  SHUTDOWN_reboot,
  SHUTDOWN_soft_reset,
  SHUTDOWN_suspend,
  SHUTDOWN_watchdog,
} from '@xenolith/xen-abi';

/** Why a guest stopped; `destroyed`: not by itself. */
export type ShutdownReason =
  | 'poweroff'
  | 'reboot'
  | 'suspend'
  | 'crash'
  | 'watchdog'
  | 'soft-reset'
  | 'destroyed'
  | 'unknown';

/** How a guest's life ended. */
export interface DomainResult {
  readonly reason: ShutdownReason;
  /** `SHUTDOWN_*` as the guest or Xen gave it; −1 for `destroyed`. */
  readonly code: number;
  /** Times that it was started again after a reboot. */
  readonly restarts: number;
  /** For `crash` and `watchdog`: what its vCPUs did. */
  readonly crash?: CrashReport;
  /** It was to be started again, but that was not possible: why. */
  readonly restartProblem?: string;
}

const reasons = new Map<number, ShutdownReason>([
  [SHUTDOWN_poweroff, 'poweroff'],
  [SHUTDOWN_reboot, 'reboot'],
  [SHUTDOWN_suspend, 'suspend'],
  [SHUTDOWN_crash, 'crash'],
  [SHUTDOWN_watchdog, 'watchdog'],
  [SHUTDOWN_soft_reset, 'soft-reset'],
]);

export const shutdownReason = (code: number): ShutdownReason => reasons.get(code) ?? 'unknown';
