/** RUNSTATE_* of vcpu.h. */
export const RUNSTATE = { running: 0, runnable: 1, blocked: 2, offline: 3 } as const;

/** How long a vCPU was in each state: the source of `vcpu_runstate_info`. Times in nanoseconds of system time. */
export class Runstate {
  state: number = RUNSTATE.offline;
  since = 0;
  readonly times: [number, number, number, number] = [0, 0, 0, 0];

  change(state: number, now: number): void {
    if (state === this.state) return;
    this.times[this.state]! += now - this.since;
    this.state = state;
    this.since = now;
  }

  /** Time in `state` up to `now`. */
  total(state: number, now: number): number {
    return this.times[state]! + (state === this.state ? now - this.since : 0);
  }
}
