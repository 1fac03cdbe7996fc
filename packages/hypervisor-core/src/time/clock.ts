import type { HostInputs } from '@xenolith/host-interface';

/**
 * - `real`: system time follows the host's monotonic clock, sampled when a slice begins and interpolated in it by retired
 *   instructions.
 * - `virtual`: one nanosecond an instruction; when every vCPU is idle, time jumps to the next timer.
 * - `paced`: as virtual, but an idle host waits until the wall clock has passed as well.
 */
export type ClockMode = 'real' | 'virtual' | 'paced';

/** System time in nanoseconds since the host started. Never goes back. */
export class HostClock {
  private current = 0;
  private readonly origin: number;
  /** Wall clock and system time when the host last became idle (paced only). */
  private idleSince: { wall: number; system: number } | undefined;

  constructor(
    readonly mode: ClockMode,
    private readonly inputs: HostInputs,
  ) {
    this.origin = mode === 'virtual' ? 0 : inputs.monotonicNs();
  }

  /** System time in nanoseconds. The guest's TSC counts the same. */
  get now(): number {
    return this.current;
  }

  /** `instructions` were retired: a nanosecond each. */
  advance(instructions: number): void {
    this.current += instructions;
  }

  /** A slice begins: time is sampled (real), or what passed while idle is added (paced). */
  beginSlice(): void {
    if (this.mode === 'real') {
      this.current = Math.max(this.current, this.inputs.monotonicNs() - this.origin);
    } else if (this.idleSince) {
      const { wall, system } = this.idleSince;
      this.idleSince = undefined;
      this.current = Math.max(this.current, system + this.inputs.monotonicNs() - wall);
    }
  }

  /**
   * Nothing can run before `deadline` (undefined: before something happens outside). Returns how many nanoseconds the host
   * should sleep at most; 0: time has come (or has been moved) to the deadline; undefined: there is no deadline.
   */
  idle(deadline: number | undefined): number | undefined {
    if (this.mode === 'virtual') {
      if (deadline === undefined) return undefined;
      this.current = Math.max(this.current, deadline);
      return 0;
    }
    this.beginSlice();
    if (this.mode === 'paced') this.idleSince = { wall: this.inputs.monotonicNs(), system: this.current };
    return deadline === undefined ? undefined : Math.max(0, deadline - this.current);
  }
}
