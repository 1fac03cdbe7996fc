import { InvariantError } from '@xenolith/host-interface';
import { PAGE_SIZE } from '@xenolith/mmu';
import type { Hypervisor } from './hypervisor.js';
import { checkTouchedFrames, type ExtraReferences, recountFrames } from './memory/index.js';

/** Hypercalls and other exits between two recounts of everything, unless set otherwise. */
const DEFAULT_INTERVAL = 1000;
/** Lines of a report. */
const SHOWN = 10;

/**
 * The checks of test builds (`strict`): after each exit of a guest the frames whose references changed are checked; at
 * intervals, and when a domain goes, all references are counted anew, and event channels and grants check themselves.
 * A difference is a fault of ours, whatever the guest did: `InvariantError`.
 */
export class Checks {
  private exits = 0;

  /** @param interval exits between two recounts of everything; 0: only when a domain goes */
  constructor(
    private readonly hv: Hypervisor,
    private readonly interval = DEFAULT_INTERVAL,
  ) {}

  /** The hypervisor has done what a guest exited for. */
  afterExit(): void {
    report(checkTouchedFrames(this.hv.memory));
    if (this.interval > 0 && ++this.exits % this.interval === 0) this.everything();
  }

  /** Counts everything anew: some 10 ms for each GiB of the machine. */
  everything(): void {
    const { hv } = this;
    hv.events.checkInvariants();
    hv.grants.checkInvariants();
    report(recountFrames(hv.memory, hv.domains.values(), heldReferences(hv)));
  }
}

/** References that no page table and no register shows: vcpu_info areas, pages held for good or for FIFO events, grant mappings. */
function* heldReferences(hv: Hypervisor): Generator<ExtraReferences> {
  for (const domain of hv.domains.values()) {
    for (const { vcpuInfoFrame: mfn } of domain.vcpus) if (mfn !== 0) yield { mfn, general: 1, writable: 1 };
    for (const mfn of domain.heldPages()) yield { mfn, general: 1, writable: 1 };
    for (const page of hv.events.heldPages(domain.domid)) {
      yield { mfn: page / PAGE_SIZE, general: 1, writable: 1 };
    }
  }
  yield* hv.grants.heldReferences();
}

function report(problems: readonly string[]): void {
  if (problems.length > 0) {
    throw new InvariantError(`Frames are miscounted:\n${problems.slice(0, SHOWN).join('\n')}`);
  }
}
