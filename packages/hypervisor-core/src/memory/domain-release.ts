import type { PvDomain } from './interfaces.js';
import type { PvMemory } from './pv-memory.js';

/** Frames that are looked at in passing, for one unit of work. */
const FRAMES_PER_UNIT = 32;

/**
 * Takes a dying domain's memory apart, piece by piece (Xen's domain_relinquish_resources and relinquish_memory): root
 * tables, GDTs, pins, allocations. Frames that others still hold (grants) stay until they let go.
 */
export class DomainRelease {
  /** Frames that others hold, of those that were looked at. Once `isDone`, of all. */
  left = 0;
  isDone = false;
  readonly #pieces: Iterator<void>;
  /** The domain owns no frame below this one but for those counted in `left`. */
  #swept = 0;

  constructor(
    private readonly memory: PvMemory,
    private readonly domain: Pick<PvDomain, 'domid' | 'vcpus'>,
  ) {
    this.#pieces = this.#takeApart();
  }

  /** The end of the unit of frames that `mfn` is in; where it begins, its work is counted. */
  #unit(mfn: number): number {
    const { machine, work } = this.memory;
    const within = mfn % FRAMES_PER_UNIT;
    if (within === 0) work.done++;
    return Math.min(mfn - within + FRAMES_PER_UNIT, machine.frames);
  }

  /** Goes on until the limit of work is reached; without one, to the end. */
  step(): void {
    this.isDone = this.#pieces.next().done === true;
  }

  /** One of the domain's frames became free, or the hypervisor's again. */
  frameGone(mfn: number): void {
    if (mfn < this.#swept) this.left--;
  }

  *#takeApart(): Generator<void> {
    const { memory, domain } = this;
    const { frames, machine, tables, work } = memory;
    const { domid } = domain;
    for (const vcpu of domain.vcpus) {
      if (vcpu === undefined) continue;
      memory.releaseVcpu(vcpu);
      if (work.isEnough) yield;
    }
    for (let mfn = machine.firstFrame; mfn < machine.frames; ) {
      const end = this.#unit(mfn);
      mfn = frames.nextOwned(domid, mfn, end);
      if (mfn < end) {
        if (frames.isPinned(mfn)) memory.unpin(mfn, domid);
        mfn++;
      }
      if (work.isEnough) yield;
    }
    for (; tables.dropped.has(domid); tables.dropped.drain(domid)) if (work.isEnough) yield;
    for (let mfn = machine.firstFrame; mfn < machine.frames; ) {
      const end = this.#unit(mfn);
      mfn = this.#swept = frames.nextOwned(domid, mfn, end);
      if (mfn < end) {
        frames.dropAllocation(mfn);
        if (frames.owner(mfn) === domid) this.left++;
        this.#swept = ++mfn;
      }
      if (work.isEnough) yield;
    }
  }
}
