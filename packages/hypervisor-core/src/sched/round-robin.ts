import type { Vcpu } from '../domain/vcpu.js';
import type { Scheduler } from './scheduler.js';
import { WaitQueue } from './wait-queue.js';

/** Round robin: every runnable vCPU in turn, all slices alike. Weights and caps mean nothing to it. */
export class RoundRobinScheduler implements Scheduler {
  private readonly queue = new WaitQueue();
  readonly heldUntil = undefined;

  constructor(private readonly slice = 1_000_000) {}

  wake(vcpu: Vcpu): boolean {
    this.queue.append(vcpu);
    return false;
  }

  sleep(vcpu: Vcpu): void {
    this.queue.take(vcpu);
  }

  pick(): Vcpu | undefined {
    return this.queue.vcpus.shift();
  }

  sliceNs(): number {
    return this.slice;
  }

  ran(vcpu: Vcpu): void {
    if (vcpu.runnable) this.queue.append(vcpu);
  }

  remove(vcpu: Vcpu): void {
    this.queue.take(vcpu);
  }

  get waiting(): boolean {
    return this.queue.vcpus.length > 0;
  }
}
