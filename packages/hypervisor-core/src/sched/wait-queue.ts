import type { Vcpu } from '../domain/vcpu.js';

/** The vCPUs that wait for the processor, each once, longest waiting first. */
export class WaitQueue {
  readonly vcpus: Vcpu[] = [];

  /** @returns whether it did not wait yet */
  append(vcpu: Vcpu): boolean {
    if (this.vcpus.includes(vcpu)) return false;
    this.vcpus.push(vcpu);
    return true;
  }

  take(vcpu: Vcpu): void {
    const at = this.vcpus.indexOf(vcpu);
    if (at >= 0) this.vcpus.splice(at, 1);
  }
}
