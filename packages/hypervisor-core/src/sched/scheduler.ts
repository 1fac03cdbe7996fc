import type { Vcpu } from '../domain/vcpu.js';

/**
 * Which vCPU runs next on the one physical processor, and for how long. Plug-ins implement this; the hypervisor tells
 * them what happens. Times are nanoseconds of system time.
 */
export interface Scheduler {
  /** `vcpu` became runnable. @returns whether it should run at once, though the running one's slice is not over */
  wake(vcpu: Vcpu): boolean;
  /** `vcpu` blocked, went down or was paused. */
  sleep(vcpu: Vcpu): void;
  /** Takes the vCPU that runs next out of the queue, or undefined. */
  pick(now: number): Vcpu | undefined;
  /** How long the vCPU that was picked may run. */
  sliceNs(vcpu: Vcpu): number;
  /** The picked vCPU ran for `ns`; if it still can, it waits again. `yielded`: it gave up the rest of its slice. */
  ran(vcpu: Vcpu, ns: number, yielded: boolean): void;
  /** `vcpu` is gone for good. */
  remove(vcpu: Vcpu): void;
  /** Whether anybody waits. */
  readonly waiting: boolean;
  /** When all who wait are held back: the time at which `pick` finds somebody again. */
  readonly heldUntil: number | undefined;
}
