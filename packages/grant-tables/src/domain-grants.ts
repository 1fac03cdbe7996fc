import { BadInputError } from '@xenolith/host-interface';
import {
  GNTMAP_device_map,
  GNTMAP_host_map,
  GNTMAP_readonly,
  GrantEntryV1,
  GrantEntryV2,
} from '@xenolith/xen-abi';
import { ActiveEntry } from './active-entry.js';
import { MAX_GRANT_FRAMES, MAX_MAPTRACK_FRAMES, MAX_VERSION, PAGE_SIZE } from './constants.js';
import type { GrantMemory } from './grant-memory.js';
import { Maptrack } from './maptrack.js';
import { type GrantVersion, SharedEntry } from './shared-entry.js';

/** What a domain may have, as xl.cfg says it. */
export interface GrantLimits {
  /** Frames of its grant table (`max_grant_frames`): 1 … 64, default 64. */
  maxFrames?: number;
  /** Frames of mapping handles (`max_maptrack_frames`), 256 handles each: 0 … 1024, default 1024. */
  maxMaptrackFrames?: number;
  /** The newest version of entries that it may choose (`max_grant_version`): 1 or 2, default 2. */
  maxVersion?: number;
}

/** What a host says about a new domain. */
export interface GrantDomainOptions extends GrantLimits {
  domid: number;
  vcpus: number;
  /** May ask about other domains' tables, as dom0 may. Default false. */
  privileged?: boolean;
  /** Auto-translated (PVH, HVM, native): maps at gfns, and its host mappings hold their own references. Default false: PV. */
  translated?: boolean;
}

const STATUS_PER_FRAME = PAGE_SIZE / 2;
const entrySize = (version: GrantVersion): number => (version === 1 ? GrantEntryV1 : GrantEntryV2).size;
/** Frames of status words for so many frames of version 2 entries. */
const statusFramesFor = (frames: number): number =>
  Math.ceil((frames * PAGE_SIZE) / entrySize(2) / STATUS_PER_FRAME);

/** How a domain uses one frame of another's. */
interface FrameUse {
  readers: number;
  writers: number;
  devices: number;
}

/** One domain's grant table (what it grants) and its mappings (what it was granted). */
export class DomainGrants {
  readonly domid: number;
  readonly privileged: boolean;
  readonly translated: boolean;
  readonly maxFrames: number;
  readonly maxVersion: number;
  readonly maptrack: Maptrack;
  /** Layout of its entries. */
  version: GrantVersion = 1;
  /** Machine frames of the table, and in version 2 of the status words; shared with the domain. */
  readonly frames: number[] = [];
  readonly statusFrames: number[] = [];
  dying = false;
  private readonly active: (ActiveEntry | undefined)[] = [];
  /** By granter and mfn. */
  private readonly uses = new Map<number, FrameUse>();

  /** @throws BadInputError when it may not have such limits */
  constructor(
    options: GrantDomainOptions,
    private readonly memory: GrantMemory,
    private readonly view: DataView,
  ) {
    this.domid = options.domid;
    this.privileged = options.privileged ?? false;
    this.translated = options.translated ?? false;
    this.maxFrames = within('max_grant_frames', options.maxFrames, 1, MAX_GRANT_FRAMES);
    this.maxVersion = within('max_grant_version', options.maxVersion, 1, MAX_VERSION);
    const maptrack = within('max_maptrack_frames', options.maxMaptrackFrames, 0, MAX_MAPTRACK_FRAMES);
    this.maptrack = new Maptrack(maptrack, options.vcpus);
  }

  get entries(): number {
    return (this.frames.length * PAGE_SIZE) / entrySize(this.version);
  }

  /** Makes the table at least this many frames long. @returns false when memory is out; then nothing has changed */
  grow(frames: number): boolean {
    const added = this.allocate(frames - this.frames.length);
    if (!added) return false;
    if (this.version === 2 && !this.growStatus(frames)) {
      this.free(added);
      return false;
    }
    this.frames.push(...added);
    return true;
  }

  /** Makes room for the status words of so many frames of entries. @returns false when memory is out */
  growStatus(frames: number): boolean {
    const added = this.allocate(statusFramesFor(frames) - this.statusFrames.length);
    if (!added) return false;
    this.statusFrames.push(...added);
    return true;
  }

  /** Frees the status words. @returns false if the domain maps some of them; then nothing has changed */
  dropStatus(): boolean {
    if (this.statusFrames.some((mfn) => this.memory.isGrantFrameMapped(mfn))) return false;
    this.free(this.statusFrames);
    this.statusFrames.length = 0;
    return true;
  }

  /** Frees the table, at the domain's end. */
  freeFrames(): void {
    this.free(this.frames);
    this.free(this.statusFrames);
  }

  private allocate(count: number): number[] | undefined {
    const added: number[] = [];
    while (added.length < count) {
      const mfn = this.memory.allocGrantFrame(this.domid);
      if (mfn === undefined) {
        this.free(added);
        return undefined;
      }
      added.push(mfn);
    }
    return added;
  }

  private free(frames: readonly number[]): void {
    for (const mfn of frames) this.memory.freeGrantFrame(this.domid, mfn);
  }

  /** The entry in shared memory; `ref` must be below `entries`. */
  shared(ref: number): SharedEntry {
    const at = place(this.frames, ref, entrySize(this.version));
    return new SharedEntry(
      this.view,
      this.version,
      at,
      this.version === 1 ? at : place(this.statusFrames, ref, 2),
    );
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

  /** Counts what the halves of a mapping in `flags` (GNTMAP_*) use of a granter's frame. */
  countUse(granter: number, mfn: number, flags: number, change: 1 | -1): void {
    const key = useKey(granter, mfn);
    const use = this.uses.get(key) ?? { readers: 0, writers: 0, devices: 0 };
    if (flags & GNTMAP_device_map) use.devices += change;
    if (flags & GNTMAP_host_map) use[flags & GNTMAP_readonly ? 'readers' : 'writers'] += change;
    if (use.readers || use.writers || use.devices) this.uses.set(key, use);
    else this.uses.delete(key);
  }

  /** Whether it has a host mapping of a granter's frame. */
  isMapped(granter: number, mfn: number, write: boolean): boolean {
    const use = this.uses.get(useKey(granter, mfn));
    return use !== undefined && (use.writers > 0 || (!write && use.readers > 0));
  }

  /** Whether it has a mapping of any kind. */
  isUsed(granter: number, mfn: number): boolean {
    return this.uses.has(useKey(granter, mfn));
  }

  /** All uses, one line each, in order; for checks. */
  describeUses(): string[] {
    const line = ([key, use]: [number, FrameUse]) => `${key}: ${use.readers} ${use.writers} ${use.devices}`;
    return [...this.uses].map(line).sort();
  }
}

/** Byte address of element `index` of an array that lies in these frames. */
export const place = (frames: readonly number[], index: number, size: number): number => {
  const perFrame = PAGE_SIZE / size;
  return frames[Math.floor(index / perFrame)]! * PAGE_SIZE + (index % perFrame) * size;
};

const useKey = (granter: number, mfn: number): number => granter * 2 ** 32 + mfn;

function within(name: string, value: number | undefined, least: number, most: number): number {
  if (value === undefined) return most;
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new BadInputError(`${name} can be ${least} to ${most}, not ${value}.`);
}
