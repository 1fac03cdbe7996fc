import { InvariantError } from '@xenolith/host-interface';
import { DOMID_INVALID, DOMID_XEN, EINVAL } from '@xenolith/xen-abi';
import {
  FRAME,
  FRAME_ENTRY_SIZE,
  FRAME_FLAG_CODE,
  FRAME_FLAG_PUBLIC,
  FRAME_TABLE,
  PAGE_SIZE,
} from '../layout.js';
import type { MachineMemory } from '../machine-memory.js';
import { FreeList } from './free-list.js';
import {
  COUNT_ALLOCATED,
  COUNT_MASK,
  FRAME_FLAG_XEN_HEAP,
  FrameType,
  frameTypeName,
  TYPE_COUNT_MASK,
  TYPE_PINNED,
  TYPE_SHIFT,
  TYPE_VALIDATED,
} from './types.js';

/** Decides whether a frame's contents may be used as a table, and undoes that. */
export interface FrameValidator {
  /**
   * The frame is about to become a page table (l1 … l4) or a descriptor page: check every entry and take the references
   * that it implies. Returns 0, or a negative errno after giving back whatever was taken (−ERESTART: it is to be tried
   * again).
   */
  promote(mfn: number, type: FrameType): number;
  /** The frame stops being a page table: give back the references of every entry. */
  demote(mfn: number, type: FrameType): void;
}

/** What the frame table tells the rest; all may be set once the table exists. */
export interface FrameHooks {
  /** The frame was writable and now becomes something else, and no full TLB flush came between: forget its write entries. */
  forgetWrites(mfn: number): void;
  /** The frame, freed since the last full TLB flush, is being given out again: forget all translations of it. */
  forgetAll(): void;
  /** The frame's contents were replaced by zeros while it held decoded code. */
  codeWritten(address: number, length: number): void;
  /** The last reference of a domain's frame went; it is free. Not called for hypervisor memory. */
  freed(mfn: number, owner: number): void;
  /** The last reference of a frame that was lent to a domain went: it is the hypervisor's again. */
  returned?(mfn: number, owner: number): void;
}

/** All type bits and the validated bit of a writable frame (other types have not all type bits set). */
const WRITABLE_VALID = (FrameType.writable << TYPE_SHIFT) | TYPE_VALIDATED;

const WORDS = FRAME_ENTRY_SIZE / 4;
const TYPE = FRAME.type / 4;
const OWNER = FRAME.owner / 4;
const PRIVATE = FRAME.private / 4;

/**
 * The frame table as a checked state machine: who owns each frame, what it is used as, and how many references keep it
 * so. A broken rule of the caller throws `InvariantError`; whatever a guest may get wrong is a return value.
 *
 * **Flush stamps.** `FRAME.private` of a frame without type references holds the value of `flushClock` when its last type
 * reference (or the last general one) went. As long as it equals `flushClock`, a TLB may still know the frame's old use.
 */
export class FrameTable {
  validator: FrameValidator | undefined;
  hooks: FrameHooks | undefined;
  /** When set, every frame whose references change is recorded here; for checks in test builds. */
  touched: Set<number> | undefined;
  /** Number of full TLB flushes so far, plus one. */
  flushClock = 1;
  readonly #u32: Uint32Array;
  readonly #base = FRAME_TABLE / 4;
  readonly #free: FreeList;

  /** Takes over a fresh machine memory: the engine's frames become the hypervisor's, all others are free. */
  constructor(readonly machine: MachineMemory) {
    this.#u32 = machine.u32;
    this.#free = new FreeList(machine.frames);
    for (let mfn = 0; mfn < machine.frames; mfn++) {
      const entry = this.#base + mfn * WORDS;
      const engine = mfn < machine.firstFrame;
      this.#u32[entry] = engine ? COUNT_ALLOCATED + 1 : 0;
      this.#u32[entry + OWNER] = engine ? DOMID_XEN : DOMID_INVALID;
      if (!engine) this.#free.add(mfn);
    }
  }

  get freeFrames(): number {
    return this.#free.free;
  }

  /** To be called with every full flush of the TLB: no translation made before it is left. */
  noteFullFlush(): void {
    this.flushClock++;
  }

  // ── Reading ────────────────────────────────────────────────────────────────────────────────────────────────────

  isValid(mfn: number): boolean {
    return mfn < this.machine.frames;
  }

  owner(mfn: number): number {
    return this.#u32[this.#base + mfn * WORDS + OWNER] & 0xffff;
  }

  /** The first frame of [from, to) that belongs to `domid`, or `to`. */
  nextOwned(domid: number, from: number, to: number): number {
    const u32 = this.#u32;
    const base = this.#base + OWNER;
    let mfn = from;
    while (mfn < to && (u32[base + mfn * WORDS] & 0xffff) !== domid) mfn++;
    return mfn;
  }

  flags(mfn: number): number {
    return this.#u32[this.#base + mfn * WORDS + OWNER] >>> 16;
  }

  /** General references, the allocation's included. */
  references(mfn: number): number {
    return this.#u32[this.#base + mfn * WORDS] & COUNT_MASK;
  }

  isAllocated(mfn: number): boolean {
    return this.#u32[this.#base + mfn * WORDS] >>> 31 === 1;
  }

  type(mfn: number): FrameType {
    return (this.#u32[this.#base + mfn * WORDS + TYPE] >>> TYPE_SHIFT) as FrameType;
  }

  typeReferences(mfn: number): number {
    return this.#u32[this.#base + mfn * WORDS + TYPE] & TYPE_COUNT_MASK;
  }

  isPinned(mfn: number): boolean {
    return (this.#u32[this.#base + mfn * WORDS + TYPE] & TYPE_PINNED) !== 0;
  }

  isValidated(mfn: number): boolean {
    return (this.#u32[this.#base + mfn * WORDS + TYPE] & TYPE_VALIDATED) !== 0;
  }

  /** true: in use as `type`, with type references, and validated. */
  isUsedAs(mfn: number, type: FrameType): boolean {
    const x = this.#u32[this.#base + mfn * WORDS + TYPE];
    return x >>> TYPE_SHIFT === type && (x & TYPE_VALIDATED) !== 0 && (x & TYPE_COUNT_MASK) !== 0;
  }

  /** One line for messages. */
  describe(mfn: number): string {
    if (!this.isValid(mfn)) return `mfn ${mfn.toString(16)} (no such frame)`;
    const pin = this.isPinned(mfn) ? ' pinned' : '';
    const use = `${frameTypeName(this.type(mfn))}:${this.typeReferences(mfn)}${pin}`;
    return `mfn ${mfn.toString(16)} (owner d${this.owner(mfn)} references ${this.references(mfn)} type ${use})`;
  }

  // ── Allocation ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Gives the lowest free frame (below `limit`), zeroed, to `domid`; −1 when memory is used up. */
  allocate(domid: number, limit?: number): number {
    const mfn = this.#free.take(limit);
    if (mfn >= 0) this.#give(mfn, domid);
    return mfn;
  }

  /** Gives 2^order contiguous frames, aligned to their size; returns the first or −1. */
  allocateRun(domid: number, order: number, limit?: number): number {
    const first = this.#free.takeRun(order, limit);
    if (first >= 0) for (let i = 0; i < 2 ** order; i++) this.#give(first + i, domid);
    return first;
  }

  /** A zeroed frame of the hypervisor's own; −1 when memory is used up. `isPublic`: every domain may read it. */
  allocateXen(isPublic = false): number {
    const mfn = this.allocate(DOMID_XEN);
    if (mfn >= 0) {
      const flags = FRAME_FLAG_XEN_HEAP | (isPublic ? FRAME_FLAG_PUBLIC : 0);
      this.#u32[this.#base + mfn * WORDS + OWNER] |= flags << 16;
    }
    return mfn;
  }

  /**
   * Lends a frame of `allocateXen` to a domain (shared_info, grant table): it becomes the owner, but the frame is not
   * part of its allowance, and never becomes anything but writable.
   */
  shareXen(mfn: number, domid: number): void {
    const entry = this.#base + mfn * WORDS;
    this.#expect(
      (this.flags(mfn) & FRAME_FLAG_XEN_HEAP) !== 0 && this.owner(mfn) === DOMID_XEN,
      mfn,
      'shareXen',
    );
    this.#u32[entry] = COUNT_ALLOCATED + 1;
    this.#u32[entry + TYPE] = (FrameType.writable * 2 ** TYPE_SHIFT + TYPE_VALIDATED + 1) >>> 0;
    this.#u32[entry + OWNER] = (this.#u32[entry + OWNER] & 0xffff_0000) | domid;
  }

  /** Frees a frame of the hypervisor's own, lent or not. false: a domain still maps it, so nothing was done. */
  freeXen(mfn: number): boolean {
    const entry = this.#base + mfn * WORDS;
    this.#expect((this.flags(mfn) & FRAME_FLAG_XEN_HEAP) !== 0, mfn, 'freeXen');
    if ((this.#u32[entry] & COUNT_MASK) > 1 || this.typeReferences(mfn) > 1) return false;
    this.#u32[entry] = 0;
    this.#release(mfn);
    return true;
  }

  #give(mfn: number, domid: number): void {
    const entry = this.#base + mfn * WORDS;
    const stamp = this.#u32[entry + PRIVATE];
    if (stamp === this.flushClock) this.hooks?.forgetAll();
    this.#u32[entry] = COUNT_ALLOCATED + 1;
    this.#u32[entry + TYPE] = 0;
    const code = this.#u32[entry + OWNER] & (FRAME_FLAG_CODE << 16);
    this.#u32[entry + OWNER] = code | domid;
    // A frame without a stamp was never used: machine memory starts as zeros.
    if (stamp !== 0) this.zero(mfn);
  }

  #release(mfn: number): void {
    const entry = this.#base + mfn * WORDS;
    this.#u32[entry + TYPE] = 0;
    this.#u32[entry + OWNER] = (this.#u32[entry + OWNER] & (FRAME_FLAG_CODE << 16)) | DOMID_INVALID;
    this.#u32[entry + PRIVATE] = this.flushClock;
    this.#free.add(mfn);
  }

  /** Fills the frame with zeros. */
  zero(mfn: number): void {
    const start = mfn * PAGE_SIZE;
    this.machine.bytes.fill(0, start, start + PAGE_SIZE);
    this.codeWritten(start, PAGE_SIZE);
  }

  /** To be called after a write to a frame's bytes [address, address + length) within one frame. */
  codeWritten(address: number, length: number): void {
    const entry = this.#base + Math.floor(address / PAGE_SIZE) * WORDS;
    if (this.#u32[entry + OWNER] & (FRAME_FLAG_CODE << 16)) this.hooks?.codeWritten(address, length);
  }

  // ── General references ─────────────────────────────────────────────────────────────────────────────────────────

  /** Takes a reference if the frame exists and belongs to `domid`. */
  getPage(mfn: number, domid: number): boolean {
    if (mfn >= this.machine.frames) return false;
    const entry = this.#base + mfn * WORDS;
    if ((this.#u32[entry + OWNER] & 0xffff) !== domid || (this.#u32[entry] & COUNT_MASK) === 0) return false;
    this.touched?.add(mfn);
    this.#u32[entry]++;
    return true;
  }

  /** Gives a reference back; the frame becomes free when it was the last. */
  putPage(mfn: number): void {
    const entry = this.#base + mfn * WORDS;
    const count = this.#u32[entry] & COUNT_MASK;
    if (count === 0) this.#broken(mfn, 'putPage without a reference');
    this.touched?.add(mfn);
    this.#u32[entry]--;
    if (count === 1) this.#lastReference(mfn);
  }

  /** Ends the domain's allocation of the frame: it goes back as soon as nobody holds it. false: it had ended before. */
  dropAllocation(mfn: number): boolean {
    const entry = this.#base + mfn * WORDS;
    if (this.#u32[entry] >>> 31 === 0) return false;
    this.#u32[entry] &= COUNT_MASK;
    this.putPage(mfn);
    return true;
  }

  #lastReference(mfn: number): void {
    const entry = this.#base + mfn * WORDS;
    const owner = this.owner(mfn);
    if ((this.#u32[entry + OWNER] >>> 16) & FRAME_FLAG_XEN_HEAP) {
      // The guest let go of memory that was lent to it: it stays the hypervisor's until freeXen.
      this.#u32[entry] = COUNT_ALLOCATED + 1;
      this.#u32[entry + OWNER] = (this.#u32[entry + OWNER] & 0xffff_0000) | DOMID_XEN;
      this.hooks?.returned?.(mfn, owner);
      return;
    }
    if ((this.#u32[entry + TYPE] & TYPE_COUNT_MASK) !== 0)
      this.#broken(mfn, 'freed while type references are held');
    this.#u32[entry] = 0;
    this.#release(mfn);
    this.hooks?.freed(mfn, owner);
  }

  /**
   * Takes a frame away from its domain without freeing it: nobody but the allocation may hold it. Afterwards the frame
   * belongs to nobody; `reassign` or `discard` must follow. false: not the domain's, or in use.
   */
  steal(mfn: number, domid: number): boolean {
    if (mfn >= this.machine.frames || this.owner(mfn) !== domid) return false;
    const entry = this.#base + mfn * WORDS;
    if (this.#u32[entry] !== COUNT_ALLOCATED + 1 || this.flags(mfn) & FRAME_FLAG_XEN_HEAP) return false;
    if (this.typeReferences(mfn) !== 0) this.#broken(mfn, 'type references without a general one');
    this.#u32[entry] = 0;
    this.#u32[entry + TYPE] = 0;
    this.#u32[entry + OWNER] = (this.#u32[entry + OWNER] & 0xffff_0000) | DOMID_INVALID;
    // Translations made by the old owner may be left; see `#give` for the frames that go through the free list.
    this.#u32[entry + PRIVATE] = this.flushClock;
    return true;
  }

  /** Gives a stolen frame to a domain, contents unchanged. */
  reassign(mfn: number, domid: number): void {
    const entry = this.#base + mfn * WORDS;
    this.#expect(this.#u32[entry] === 0 && !this.#free.isFree(mfn), mfn, 'reassign');
    if (this.#u32[entry + PRIVATE] === this.flushClock) this.hooks?.forgetAll();
    this.#u32[entry] = COUNT_ALLOCATED + 1;
    this.#u32[entry + OWNER] = (this.#u32[entry + OWNER] & 0xffff_0000) | domid;
  }

  /** Frees a stolen frame. */
  discard(mfn: number): void {
    this.#expect(this.#u32[this.#base + mfn * WORDS] === 0 && !this.#free.isFree(mfn), mfn, 'discard');
    this.#release(mfn);
  }

  // ── Type references ────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Takes a type reference; the caller holds a general one. The first reference of a type validates the frame. Returns 0,
   * −EINVAL when the frame is in use as something else, or the validator's error.
   */
  getPageType(mfn: number, type: FrameType): number {
    const entry = this.#base + mfn * WORDS;
    const x = this.#u32[entry + TYPE];
    if ((x & TYPE_COUNT_MASK) !== 0) {
      if (x >>> TYPE_SHIFT !== type || (x & TYPE_VALIDATED) === 0) return -EINVAL;
      if ((x & TYPE_COUNT_MASK) === TYPE_COUNT_MASK) return -EINVAL;
      this.#u32[entry + TYPE] = x + 1;
      return 0;
    }
    const old = x >>> TYPE_SHIFT;
    if (old === type && (x & TYPE_VALIDATED) !== 0) {
      this.#u32[entry + TYPE] = x + 1;
      return 0;
    }
    if (old === FrameType.writable && this.#u32[entry + PRIVATE] === this.flushClock)
      this.hooks?.forgetWrites(mfn);
    const fresh = type * 2 ** TYPE_SHIFT + 1;
    if (type === FrameType.writable) {
      this.#u32[entry + TYPE] = fresh + TYPE_VALIDATED;
      return 0;
    }
    this.#u32[entry + TYPE] = fresh;
    const rc = this.validator === undefined ? -EINVAL : this.validator.promote(mfn, type);
    if (rc !== 0) {
      this.#u32[entry + TYPE] = 0;
      return rc;
    }
    this.#u32[entry + TYPE] = fresh + TYPE_VALIDATED;
    if (type === FrameType.l4) this.#u32[entry + PRIVATE] = 0;
    return 0;
  }

  /** Gives a type reference back; a page table without references is given up. */
  putPageType(mfn: number): void {
    const entry = this.#base + mfn * WORDS;
    const x = this.#u32[entry + TYPE];
    const count = x & TYPE_COUNT_MASK;
    if (count === 0) this.#broken(mfn, 'putPageType without a type reference');
    if (count > 1) {
      this.#u32[entry + TYPE] = x - 1;
      return;
    }
    const type = (x >>> TYPE_SHIFT) as FrameType;
    if (type >= FrameType.l1 && type <= FrameType.l4) {
      // While the entries are given back the frame counts as neither valid nor free for another use.
      this.#u32[entry + TYPE] = x & ~TYPE_VALIDATED;
      this.validator?.demote(mfn, type);
      this.#u32[entry + TYPE] = (x & ~TYPE_VALIDATED) - 1;
    } else {
      this.#u32[entry + TYPE] = x - 1;
    }
    this.#u32[entry + PRIVATE] = this.flushClock;
  }

  getPageAndType(mfn: number, domid: number, type: FrameType): number {
    if (!this.getPage(mfn, domid)) return -EINVAL;
    const rc = this.getPageType(mfn, type);
    if (rc !== 0) this.putPage(mfn);
    return rc;
  }

  putPageAndType(mfn: number): void {
    this.putPageType(mfn);
    this.putPage(mfn);
  }

  /**
   * `getPage`, and for a writable mapping also `getPageType` as writable, in one step: page tables have many of these.
   * false: neither was taken.
   */
  getMapping(mfn: number, domid: number, isWritable: boolean): boolean {
    const u32 = this.#u32;
    if (mfn >= this.machine.frames) return false;
    const entry = this.#base + mfn * WORDS;
    const count = u32[entry];
    if ((u32[entry + OWNER] & 0xffff) !== domid || (count & COUNT_MASK) === 0) return false;
    if (isWritable) {
      const x = u32[entry + TYPE];
      if ((x & WRITABLE_VALID) === WRITABLE_VALID && (x & TYPE_COUNT_MASK) !== TYPE_COUNT_MASK) {
        u32[entry + TYPE] = x + 1;
      } else if (this.getPageType(mfn, FrameType.writable) !== 0) {
        return false;
      }
    }
    this.touched?.add(mfn);
    u32[entry] = count + 1;
    return true;
  }

  /** Gives back what `getMapping` took. */
  putMapping(mfn: number, isWritable: boolean): void {
    const u32 = this.#u32;
    const entry = this.#base + mfn * WORDS;
    if (isWritable) {
      const x = u32[entry + TYPE];
      // More than one left, of a writable frame: nothing but the count changes.
      if ((x & TYPE_COUNT_MASK) > 1) u32[entry + TYPE] = x - 1;
      else this.putPageType(mfn);
    }
    const count = u32[entry];
    if ((count & COUNT_MASK) > 1) {
      this.touched?.add(mfn);
      u32[entry] = count - 1;
    } else {
      this.putPage(mfn);
    }
  }

  /** Sets the pinned bit; it stands for one reference and one type reference, which the caller took. false: it was set. */
  setPinned(mfn: number): boolean {
    const entry = this.#base + mfn * WORDS + TYPE;
    if (this.#u32[entry] & TYPE_PINNED) return false;
    this.#u32[entry] |= TYPE_PINNED;
    return true;
  }

  /** Clears the pinned bit; the caller gives the two references back. false: it was not set. */
  clearPinned(mfn: number): boolean {
    const entry = this.#base + mfn * WORDS + TYPE;
    if (!(this.#u32[entry] & TYPE_PINNED)) return false;
    this.#u32[entry] &= ~TYPE_PINNED;
    return true;
  }

  #expect(condition: boolean, mfn: number, what: string): void {
    if (!condition) this.#broken(mfn, what);
  }

  #broken(mfn: number, what: string): never {
    throw new InvariantError(`Frame table: ${what}: ${this.describe(mfn)}.`);
  }
}
