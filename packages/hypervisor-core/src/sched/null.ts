import type { Vcpu } from '../domain/vcpu.js';
import type { Scheduler } from './scheduler.js';
import { WaitQueue } from './wait-queue.js';

/**
 * No scheduling: Xen's null scheduler gives each vCPU a physical processor of its own and never takes it away. There is
 * one processor here, so a vCPU keeps it until it blocks, ends or yields (PAUSE loops count as that); who became
 * runnable first comes next. Nobody is preempted: a guest that spins keeps all others out, and so does a vCPU that waits
 * for another without a PAUSE, for ever. It is for guests that block.
 */
export class NullScheduler implements Scheduler {
  private readonly queue = new WaitQueue();
  readonly heldUntil = undefined;

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
    return Number.POSITIVE_INFINITY;
  }

  ran(vcpu: Vcpu, _ns: number, yielded: boolean): void {
    if (!vcpu.runnable) return;
    if (yielded) this.queue.append(vcpu);
    else {
      // Only the host's own turn was over.
      this.queue.take(vcpu);
      this.queue.vcpus.unshift(vcpu);
    }
  }

  remove(vcpu: Vcpu): void {
    this.queue.take(vcpu);
  }

  get waiting(): boolean {
    return this.queue.vcpus.length > 0;
  }
}
