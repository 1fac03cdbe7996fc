import { ActiveEntry, SharedEntry } from './active-entry.js';
import { PAGE_SIZE } from './constants.js';
import type { GrantMemory } from './grant-memory.js';
import { Maptrack } from './maptrack.js';

/** What a host says about a new domain. */
export interface GrantDomainOptions {
  domid: number;
  vcpus: number;
  /** May ask about other domains' tables, as dom0 may. Default false. */
  privileged?: boolean;
  /** Auto-translated (PVH, HVM, native): maps at gfns, and its host mappings hold their own references. Default false: PV. */
  translated?: boolean;
  /** Frames that the grant table may have (`max_grant_frames` of xl.cfg). Default 64. */
  maxFrames?: number;
  /** Frames of mapping handles (`max_maptrack_frames`), 256 handles each. Default 1024. */
  maxMaptrackFrames?: number;
}

export const ENTRIES_PER_FRAME = PAGE_SIZE / 8;

/** One domain's grant table (what it grants) and its mappings (what it was granted). */
export class DomainGrants {
  readonly domid: number;
  readonly privileged: boolean;
  readonly translated: boolean;
  readonly maxFrames: number;
  readonly maptrack: Maptrack;
  /** Machine frames of the table, shared with the domain. */
  readonly frames: number[] = [];
  dying = false;
  private readonly active: (ActiveEntry | undefined)[] = [];
  /** mfn → host mappings that this domain holds of it: readers + writers × WRITER. */
  private readonly mapped = new Map<number, number>();

  constructor(
    options: GrantDomainOptions,
    private readonly memory: GrantMemory,
    private readonly view: DataView,
  ) {
    this.domid = options.domid;
    this.privileged = options.privileged ?? false;
    this.translated = options.translated ?? false;
    this.maxFrames = options.maxFrames ?? 64;
    this.maptrack = new Maptrack(options.maxMaptrackFrames ?? 1024, options.vcpus);
  }

  get entries(): number {
    return this.frames.length * ENTRIES_PER_FRAME;
  }

  /** Makes the table at least this many frames long. @returns false when memory is out; then nothing has changed */
  grow(frames: number): boolean {
    const added: number[] = [];
    while (this.frames.length + added.length < frames) {
      const mfn = this.memory.allocGrantFrame(this.domid);
      if (mfn === undefined) {
        for (const m of added) this.memory.freeGrantFrame(this.domid, m);
        return false;
      }
      added.push(mfn);
    }
    this.frames.push(...added);
    return true;
  }

  /** The entry in shared memory; `ref` must be below `entries`. */
  shared(ref: number): SharedEntry {
    const frame = this.frames[Math.floor(ref / ENTRIES_PER_FRAME)]!;
    return new SharedEntry(this.view, frame * PAGE_SIZE + (ref % ENTRIES_PER_FRAME) * 8);
  }

  activeEntry(ref: number): ActiveEntry {
    let entry = this.active[ref];
    if (!entry) this.active[ref] = entry = new ActiveEntry();
    return entry;
  }

  /** Entries that somebody uses. */
  *pinned(): Generator<[ref: number, entry: ActiveEntry]> {
    for (const [ref, entry] of this.active.entries()) if (entry?.pin) yield [ref, entry];
  }

  countMapping(mfn: number, readonly: boolean, change: 1 | -1): void {
    const count = (this.mapped.get(mfn) ?? 0) + change * (readonly ? 1 : WRITER);
    if (count === 0) this.mapped.delete(mfn);
    else this.mapped.set(mfn, count);
  }

  isMapped(mfn: number, write: boolean): boolean {
    const count = this.mapped.get(mfn);
    return count !== undefined && (!write || count >= WRITER);
  }

  mappedCounts(): ReadonlyMap<number, number> {
    return this.mapped;
  }
}

/** More readers than 1,024 frames of handles can hold. */
export const WRITER = 2 ** 20;
