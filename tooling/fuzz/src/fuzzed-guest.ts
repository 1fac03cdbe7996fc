import type { GuestDomain, Host } from '@xenolith/host';
import type { Program, Step } from './program.js';

/** A guest that runs a program. */
export class FuzzedGuest {
  console = '';
  /** Operations that each vCPU has begun. */
  private operations: number[] = [];

  constructor(
    private readonly host: Host,
    private readonly program: Program,
    readonly domain: GuestDomain,
  ) {}

  /** Operations begun by all vCPUs; the guest counts them in a page whose pfn it prints. */
  progress(): number {
    const pfn = /FUZZ (\d+)/.exec(this.console)?.[1];
    const mfn = pfn && this.domain.domain?.p2m[Number(pfn)];
    if (mfn) {
      const { view } = this.host.hypervisor.memory.machine;
      this.operations = this.program.map((_, vcpu) => Number(view.getBigUint64(mfn * 4096 + vcpu * 8, true)));
    }
    return this.operations.reduce((sum, n) => sum + n, 0);
  }

  get end(): string {
    const { result } = this.domain;
    if (!result) return 'stuck or asleep';
    return result.crash ? `${result.reason}: ${result.crash.reason}` : result.reason;
  }

  /** Steps that were begun. */
  get steps(): number {
    return this.program.reduce((sum, list, vcpu) => sum + stepsOf(list, this.operations[vcpu] ?? 0), 0);
  }
}

/** How many steps so many operations are. */
function stepsOf(steps: readonly Step[], operations: number): number {
  let left = operations;
  let count = 0;
  for (const step of steps) {
    if (left <= 0) break;
    left -= step.length;
    count++;
  }
  return count;
}
