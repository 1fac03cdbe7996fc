import type { Vcpu } from '../domain/vcpu.js';

/** Which vCPU runs next, and for how long. Plug-ins implement this; the hypervisor tells them what happens. */
export interface Scheduler {
  /** `vcpu` became runnable. */
  wake(vcpu: Vcpu): void;
  /** `vcpu` blocked, went down or was paused. */
  sleep(vcpu: Vcpu): void;
  /** The slice of `vcpu` ended while it could still run. `yielded`: it asked for it. */
  requeue(vcpu: Vcpu, yielded: boolean): void;
  /** Takes the vCPU that runs next out of the queue, or undefined. */
  pick(): Vcpu | undefined;
  /** Whether anybody waits. */
  readonly waiting: boolean;
  /** Length of a slice in nanoseconds of system time. */
  readonly sliceNs: number;
}

/** Round robin: every runnable vCPU in turn, all slices alike. */
export class RoundRobinScheduler implements Scheduler {
  private readonly queue: Vcpu[] = [];

  constructor(readonly sliceNs = 1_000_000) {}

  wake(vcpu: Vcpu): void {
    if (!this.queue.includes(vcpu)) this.queue.push(vcpu);
  }

  sleep(vcpu: Vcpu): void {
    const i = this.queue.indexOf(vcpu);
    if (i >= 0) this.queue.splice(i, 1);
  }

  requeue(vcpu: Vcpu): void {
    this.wake(vcpu);
  }

  pick(): Vcpu | undefined {
    return this.queue.shift();
  }

  get waiting(): boolean {
    return this.queue.length > 0;
  }
}
