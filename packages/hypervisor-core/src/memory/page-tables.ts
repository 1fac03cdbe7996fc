import { type FrameTable, FrameType, type FrameValidator, type M2p } from '@xenolith/mmu/frames';
import { EBUSY, EINVAL, EPERM, ERESTART } from '@xenolith/xen-abi';
import { isDescriptorPageValid } from './descriptors.js';
import { DroppedTables } from './dropped-tables.js';
import {
  adjustL1High,
  adjustL1Low,
  adjustTableLow,
  FAST_HIGH,
  FAST_LOW,
  INVALID_FRAME,
  isGuestL4Slot,
  L1_DISALLOWED,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_RW,
  pteFrame,
  TABLE_DISALLOWED,
  XEN_SLOT_FIRST,
  XEN_SLOT_LAST,
} from './pte.js';
import type { Work } from './work.js';

const ENTRIES = 512;
/** 32-bit words of one frame. */
const FRAME_WORDS = 1024;

/** What a table costs in the count of work, in updates (see `Work`); each entry of a higher one costs another. */
const TABLE_WORK = 50;

const NONE: readonly number[] = [];

/**
 * Page tables of PV guests: each entry of a validated table holds the references that it implies. A table's owner is the
 * domain whose frames it may map. The rules are those of Xen 4.17 (arch/x86/mm.c: get_page_from_l1e … l4e, promote and
 * demote, mod_l1_entry … mod_l4_entry).
 *
 * An L1 entry holds a reference of the frame, and a writable type reference when it maps it writable. A higher entry
 * holds a reference and a type reference of the next lower table. A *linear* entry names a table of its own level
 * instead: read-only; the table itself (no references), or a validated table of the same owner that has no linear
 * entries of its own.
 *
 * A tree may have as many tables as the machine has frames. A hypercall whose limit of work is reached (`Work`) stops
 * between two tables. Promoting: what is done of the tables in progress goes to `takeKept`, −ERESTART goes to the top,
 * and nothing else is left of the attempt; the next one finds the kept tables validated. Giving up: `dropped`.
 */
export class PageTables implements FrameValidator {
  /** Set when an entry of a higher table that was present was changed: all translations through it must be forgotten. */
  tableChanged = false;
  /** References of tables that were given up. */
  readonly dropped: DroppedTables;
  readonly #u32: Uint32Array;
  /** References of validated tables, taken by an attempt that had to stop. */
  #kept: number[] = [];
  /** Tables in progress, each below the one before. */
  #depth = 0;
  /** The attempt has validated a table: however often it is stopped, it comes to an end. */
  #isFurther = false;
  /** Linear entries of a table (positive) or linear uses of it by others (negative); no entry: 0. */
  readonly #linear = new Map<number, number>();

  constructor(
    readonly frames: FrameTable,
    readonly m2p: M2p,
    readonly work: Work,
    /** Told why an entry was refused; for messages only. */
    readonly refused: (reason: string) => void,
    /** The domain has m2p_strict: every root table shows the M2P; without it those do that the kernel loads. */
    readonly isM2pStrict: (domid: number) => boolean,
  ) {
    this.#u32 = frames.machine.u32;
    this.dropped = new DroppedTables(frames, work);
  }

  /** The tables that the attempt which ended with −ERESTART has validated: a reference and a type reference of each. */
  takeKept(): readonly number[] {
    if (this.#kept.length === 0) return NONE;
    const kept = this.#kept;
    this.#kept = [];
    return kept;
  }

  // ── References of one entry ────────────────────────────────────────────────────────────────────────────────────

  /** Takes the references of a present L1 entry that maps a frame of `pageOwner`. Returns 0 or a negative errno. */
  getL1(lo: number, hi: number, pageOwner: number): number {
    if (lo & L1_DISALLOWED) return this.#refuse(EINVAL, lo, hi, 'memory-type bits in an L1 entry');
    const mfn = pteFrame(lo, hi);
    const frames = this.frames;
    // Frame 0 counts as I/O, as on every PC: no memory of anybody's.
    if (mfn === 0 || !frames.isValid(mfn)) {
      if (mfn === INVALID_FRAME) return -EINVAL;
      return this.#refuse(EPERM, lo, hi, 'not memory');
    }
    if (frames.getMapping(mfn, pageOwner, (lo & PTE_RW) !== 0)) return 0;
    const kind = lo & PTE_RW ? 'writable mapping of' : 'mapping of';
    return this.#refuse(EBUSY, lo, hi, `${kind} ${frames.describe(mfn)}`);
  }

  putL1(lo: number, hi: number): void {
    if (!(lo & PTE_PRESENT)) return;
    this.frames.putMapping(pteFrame(lo, hi), (lo & PTE_RW) !== 0);
  }

  /** Takes the references of a present entry of a table of `level` 2 … 4 in frame `table`. */
  #getTableEntry(lo: number, hi: number, table: number, level: number, owner: number): number {
    if (lo & TABLE_DISALLOWED) return this.#refuse(EINVAL, lo, hi, `forbidden bits in an L${level} entry`);
    const mfn = pteFrame(lo, hi);
    this.work.done++;
    const rc = this.frames.getPageAndType(mfn, owner, (level - 1) as FrameType);
    if (rc !== -EINVAL) return rc;
    if (this.#getLinear(lo, mfn, table, level, owner)) return 0;
    return this.#refuse(EINVAL, lo, hi, `L${level} entry to ${this.frames.describe(mfn)}`);
  }

  #getLinear(lo: number, mfn: number, table: number, level: number, owner: number): boolean {
    if (lo & PTE_RW) return false;
    if (mfn === table) return true;
    const frames = this.frames;
    if (frames.owner(table) !== owner || !frames.getPage(mfn, owner)) return false;
    const entries = this.#linear.get(table) ?? 0;
    const uses = this.#linear.get(mfn) ?? 0;
    // A signed 16-bit counter in Xen: it limits how many there may be.
    const possible = entries >= 0 && entries < 0x7fff && uses <= 0 && uses > -0x8000;
    if (!possible || !frames.isUsedAs(mfn, level as FrameType)) {
      frames.putPage(mfn);
      return false;
    }
    if (frames.getPageType(mfn, level as FrameType) !== 0) {
      frames.putPage(mfn);
      return false;
    }
    this.#linear.set(table, entries + 1);
    this.#linear.set(mfn, uses - 1);
    return true;
  }

  /** The entry goes; its references are dropped, or kept for the next attempt at `table`. */
  #putTableEntry(lo: number, hi: number, table: number, level: number, isKept = false): void {
    if (!(lo & PTE_PRESENT)) return;
    const mfn = pteFrame(lo, hi);
    if (mfn === table) return;
    this.work.done++;
    const isLinear = this.frames.type(mfn) === level;
    if (isLinear) {
      this.#addLinear(table, -1);
      this.#addLinear(mfn, 1);
    }
    if (isKept && !isLinear) this.#kept.push(mfn);
    else this.dropped.drop(mfn);
  }

  #addLinear(mfn: number, change: number): void {
    const count = (this.#linear.get(mfn) ?? 0) + change;
    if (count === 0) this.#linear.delete(mfn);
    else this.#linear.set(mfn, count);
  }

  #refuse(errno: number, lo: number, hi: number, why: string): number {
    const pte = hi.toString(16).padStart(8, '0') + lo.toString(16).padStart(8, '0');
    this.refused(`page-table entry ${pte}: ${why}`);
    return -errno;
  }

  // ── Whole tables ───────────────────────────────────────────────────────────────────────────────────────────────

  promote(mfn: number, type: FrameType): number {
    this.work.done += TABLE_WORK;
    if (type === FrameType.segDesc) return isDescriptorPageValid(this.frames.machine, mfn) ? 0 : -EINVAL;
    const owner = this.frames.owner(mfn);
    if (this.#depth === 0) this.#isFurther = false;
    this.#depth++;
    const rc = type === FrameType.l1 ? this.#promoteL1(mfn, owner) : this.#promoteTable(mfn, type, owner);
    this.#depth--;
    if (rc === 0) this.#isFurther = true;
    return rc;
  }

  #promoteL1(table: number, owner: number): number {
    const u32 = this.#u32;
    const start = table * FRAME_WORDS;
    const end = start + FRAME_WORDS;
    for (let at = start; at < end; at += 2) {
      const lo = u32[at];
      if (!(lo & PTE_PRESENT)) continue;
      const hi = u32[at + 1];
      const rc = this.getL1(lo, hi, owner);
      if (rc !== 0) {
        for (let back = start; back < at; back += 2) this.putL1(u32[back], u32[back + 1]);
        return rc;
      }
      const newLo = adjustL1Low(lo, hi);
      if (newLo !== lo) u32[at] = newLo;
      const newHi = adjustL1High(lo, hi);
      if (newHi !== hi) u32[at + 1] = newHi;
    }
    return 0;
  }

  #promoteTable(table: number, level: number, owner: number): number {
    const u32 = this.#u32;
    const start = table * FRAME_WORDS;
    for (let slot = 0; slot < ENTRIES; slot++) {
      if (level === 4 && !isGuestL4Slot(slot)) continue;
      const at = start + slot * 2;
      const lo = u32[at];
      if (!(lo & PTE_PRESENT)) continue;
      const hi = u32[at + 1];
      const rc = this.#getTableEntry(lo, hi, table, level, owner);
      if (rc !== 0) {
        this.#putTableEntries(table, level, slot, rc === -ERESTART);
        return rc;
      }
      u32[at] = adjustTableLow(lo, level);
      if (this.#isFurther && this.work.isEnough) {
        this.#putTableEntries(table, level, slot + 1, true);
        return -ERESTART;
      }
    }
    if (level === 4) this.#fillXenSlots(table, owner);
    return 0;
  }

  /** Xen's part of a root table: the read-only M2P in the first slot, nothing that a guest could use in the others. */
  #fillXenSlots(table: number, owner: number): void {
    const at = table * FRAME_WORDS + XEN_SLOT_FIRST * 2;
    this.#u32.fill(0, at, at + (XEN_SLOT_LAST - XEN_SLOT_FIRST + 1) * 2);
    if (this.isM2pStrict(owner)) this.showM2p(table);
  }

  /** m2p_strict: a root table used for user mode does not show the M2P. */
  hideM2p(table: number): void {
    const at = table * FRAME_WORDS + XEN_SLOT_FIRST * 2;
    this.#u32.fill(0, at, at + 2);
  }

  /** A root table used for the kernel does. */
  showM2p(table: number): void {
    const at = table * FRAME_WORDS + XEN_SLOT_FIRST * 2;
    const entry = this.m2p.l4Entry;
    this.#u32[at] = entry.lo;
    this.#u32[at + 1] = entry.hi;
  }

  demote(mfn: number, type: FrameType): void {
    this.work.done += TABLE_WORK;
    if (type === FrameType.l1) {
      const u32 = this.#u32;
      const start = mfn * FRAME_WORDS;
      for (let at = start; at < start + FRAME_WORDS; at += 2) {
        if (u32[at] & PTE_PRESENT) this.putL1(u32[at], u32[at + 1]);
      }
    } else {
      this.#putTableEntries(mfn, type, ENTRIES);
    }
  }

  #putTableEntries(table: number, level: number, end: number, areKept = false): void {
    const u32 = this.#u32;
    for (let slot = end - 1; slot >= 0; slot--) {
      if (level === 4 && !isGuestL4Slot(slot)) continue;
      const at = table * FRAME_WORDS + slot * 2;
      this.#putTableEntry(u32[at], u32[at + 1], table, level, areKept);
    }
  }

  // ── Changing one entry ─────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Writes an L1 entry of a validated table. `at` is the entry's index in 32-bit words of machine memory; a present new
   * entry maps a frame of `pageOwner`: the table's owner, but for a hypercall that names a foreign domain. Returns 0 or
   * a negative errno (then nothing changed).
   */
  setL1(at: number, newLo: number, newHi: number, pageOwner: number, keepAd: boolean): number {
    const u32 = this.#u32;
    const oldLo = u32[at];
    const oldHi = u32[at + 1];
    this.work.done++;
    this.frames.touched?.add(at >>> 10);
    let lo = newLo;
    let hi = newHi;
    if (newLo & PTE_PRESENT) {
      if (newLo & L1_DISALLOWED) return this.#refuse(EINVAL, newLo, newHi, 'memory-type bits in an L1 entry');
      lo = adjustL1Low(newLo, newHi);
      hi = adjustL1High(newLo, newHi);
      if (((oldLo ^ lo) & ~FAST_LOW) !== 0 || ((oldHi ^ hi) & ~FAST_HIGH) !== 0) {
        const rc = this.getL1(lo, hi, pageOwner);
        if (rc !== 0) return rc;
      } else {
        u32[at] = keepAd ? lo | (oldLo & (PTE_ACCESSED | PTE_DIRTY)) : lo;
        u32[at + 1] = hi;
        return 0;
      }
    }
    u32[at] = keepAd ? lo | (oldLo & (PTE_ACCESSED | PTE_DIRTY)) : lo;
    u32[at + 1] = hi;
    this.putL1(oldLo, oldHi);
    return 0;
  }

  /**
   * As `setL1` for the domain's own frames, but as Xen's writable page tables: every present entry is checked anew, and
   * what is not present is stored as it is.
   */
  writeL1(at: number, newLo: number, newHi: number, owner: number): number {
    const u32 = this.#u32;
    this.work.done++;
    this.frames.touched?.add(at >>> 10);
    let lo = newLo;
    let hi = newHi;
    if (newLo & PTE_PRESENT) {
      const rc = this.getL1(newLo, newHi, owner);
      if (rc !== 0) return rc;
      lo = adjustL1Low(newLo, newHi);
      hi = adjustL1High(newLo, newHi);
    }
    const oldLo = u32[at];
    const oldHi = u32[at + 1];
    u32[at] = lo;
    u32[at + 1] = hi;
    this.putL1(oldLo, oldHi);
    return 0;
  }

  /** Writes an entry of a validated table of `level` 2 … 4; otherwise as `setL1`. −ERESTART: make it again. */
  setTable(at: number, newLo: number, newHi: number, level: number, owner: number, keepAd: boolean): number {
    const u32 = this.#u32;
    const table = Math.floor(at / FRAME_WORDS);
    const slot = (at - table * FRAME_WORDS) >>> 1;
    this.work.done++;
    this.frames.touched?.add(table);
    if (level === 4 && !isGuestL4Slot(slot)) {
      this.refused(`L4 slot ${slot} belongs to Xen`);
      return -EINVAL;
    }
    const oldLo = u32[at];
    const oldHi = u32[at + 1];
    let lo = newLo;
    if (newLo & PTE_PRESENT) {
      if (newLo & TABLE_DISALLOWED) {
        return this.#refuse(EINVAL, newLo, newHi, `forbidden bits in an L${level} entry`);
      }
      lo = adjustTableLow(newLo, level);
      if (((oldLo ^ lo) & ~FAST_LOW) === 0 && ((oldHi ^ newHi) & ~FAST_HIGH) === 0) {
        // NX may have changed for everything below.
        if ((oldHi ^ newHi) & 0x8000_0000) this.tableChanged = true;
        u32[at] = keepAd ? lo | (oldLo & (PTE_ACCESSED | PTE_DIRTY)) : lo;
        u32[at + 1] = newHi;
        return 0;
      }
      const rc = this.#getTableEntry(lo, newHi, table, level, owner);
      if (rc !== 0) return rc;
    }
    u32[at] = keepAd ? lo | (oldLo & (PTE_ACCESSED | PTE_DIRTY)) : lo;
    u32[at + 1] = newHi;
    if (oldLo & PTE_PRESENT) {
      this.tableChanged = true;
      this.#putTableEntry(oldLo, oldHi, table, level);
    }
    return 0;
  }

  /** Linear uses and entries must be gone with their table; for checks. */
  linearCount(mfn: number): number {
    return this.#linear.get(mfn) ?? 0;
  }
}
