import { FRAME_FLAG_XEN_HEAP, type FrameTable, FrameType, frameTypeName } from '@xenolith/mmu/frames';
import { DOMID_INVALID, DOMID_XEN } from '@xenolith/xen-abi';
import type { PvDomain } from './interfaces.js';
import { isGuestL4Slot, PTE_PRESENT, PTE_RW, pteFrame } from './pte.js';
import type { PvMemory } from './pv-memory.js';

/** References that nothing visible to a recount stands for: registered vcpu_info areas and the like. */
export interface ExtraReferences {
  mfn: number;
  general: number;
  /** Writable type references among them. */
  writable: number;
}

const TABLE_ENTRIES = 512;

/**
 * Counts all references anew, from what they stand for (allocations, pins, root tables, GDTs, LDTs, tables that are
 * kept or given up in the middle of an operation, and the entries of every table reached from there), and compares with the frame table. Returns one line for each difference; empty: all is well.
 * Takes some 10 ms for each GiB: for tests and crash reports.
 */
export function recountFrames(
  memory: PvMemory,
  domains: Iterable<PvDomain>,
  extra: Iterable<ExtraReferences> = [],
): string[] {
  const recount = new Recount(memory);
  for (const domain of domains) recount.addDomain(domain);
  for (const { mfn, general, writable } of extra) recount.addExtra(mfn, general, writable);
  return recount.compare();
}

class Recount {
  readonly #frames: FrameTable;
  readonly #u32: Uint32Array;
  readonly #general: Uint32Array;
  readonly #typeCount: Uint32Array;
  readonly #type: Uint8Array;
  readonly #queue: number[] = [];
  readonly #problems: string[] = [];

  constructor(memory: PvMemory) {
    this.#frames = memory.frames;
    this.#u32 = memory.machine.u32;
    const { frames } = memory.machine;
    this.#general = new Uint32Array(frames);
    this.#typeCount = new Uint32Array(frames);
    this.#type = new Uint8Array(frames);
    for (let mfn = memory.machine.firstFrame; mfn < frames; mfn++) {
      if (this.#frames.isAllocated(mfn)) this.#general[mfn]++;
      if (this.#frames.isPinned(mfn)) this.#use(mfn, this.#frames.type(mfn), 'pin');
      const isLent = this.#frames.flags(mfn) & FRAME_FLAG_XEN_HEAP && this.#frames.owner(mfn) !== DOMID_XEN;
      if (isLent) this.#addType(mfn, FrameType.writable, 'lent frame');
    }
    for (const mfn of memory.tables.dropped.all()) this.#use(mfn, this.#frames.type(mfn), 'dropped');
  }

  addDomain(domain: PvDomain): void {
    const who = `d${domain.domid}`;
    for (const vcpu of domain.vcpus) {
      if (vcpu === undefined) continue;
      if (vcpu.guestTable !== 0) this.#use(vcpu.guestTable, FrameType.l4, `${who} root table`);
      if (vcpu.guestTableUser !== 0) this.#use(vcpu.guestTableUser, FrameType.l4, `${who} user root table`);
      for (const mfn of vcpu.gdtFrames) this.#use(mfn, FrameType.segDesc, `${who} GDT`);
      for (const mfn of vcpu.ldtFrames) if (mfn !== 0) this.#use(mfn, FrameType.segDesc, `${who} LDT`);
      for (const mfn of vcpu.keptTables) this.#use(mfn, this.#frames.type(mfn), `${who} kept table`);
    }
    this.#drain();
    let pages = 0;
    for (let mfn = this.#frames.machine.firstFrame; mfn < this.#frames.machine.frames; mfn++) {
      const isCounted = this.#frames.references(mfn) > 0 && !(this.#frames.flags(mfn) & FRAME_FLAG_XEN_HEAP);
      if (isCounted && this.#frames.owner(mfn) === domain.domid) pages++;
    }
    if (pages !== domain.totPages)
      this.#problems.push(`${who} has ${pages} frames, totPages says ${domain.totPages}`);
  }

  addExtra(mfn: number, general: number, writable: number): void {
    this.#general[mfn] += general;
    for (let i = 0; i < writable; i++) this.#addType(mfn, FrameType.writable, 'extra');
  }

  #use(mfn: number, type: number, why: string): void {
    this.#general[mfn]++;
    this.#addType(mfn, type, why);
  }

  #addType(mfn: number, type: number, why: string): void {
    if (this.#typeCount[mfn]++ === 0) {
      this.#type[mfn] = type;
      if (type >= FrameType.l1 && type <= FrameType.l4) this.#queue.push(mfn);
    } else if (this.#type[mfn] !== type) {
      this.#problems.push(
        `${why} uses a ${frameTypeName(this.#type[mfn])} frame as ${frameTypeName(type)}: ${mfn.toString(16)}`,
      );
    }
  }

  #drain(): void {
    for (let mfn = this.#queue.pop(); mfn !== undefined; mfn = this.#queue.pop()) this.#countTable(mfn);
  }

  #countTable(table: number): void {
    const level = this.#type[table];
    const why = `L${level} table ${table.toString(16)}`;
    for (let slot = 0; slot < TABLE_ENTRIES; slot++) {
      if (level === 4 && !isGuestL4Slot(slot)) continue;
      const at = table * 1024 + slot * 2;
      const lo = this.#u32[at];
      if (!(lo & PTE_PRESENT)) continue;
      const mfn = pteFrame(lo, this.#u32[at + 1]);
      if (!this.#frames.isValid(mfn)) {
        this.#problems.push(`${why} slot ${slot} maps no frame`);
      } else if (level === 1) {
        this.#general[mfn]++;
        if (lo & PTE_RW) this.#addType(mfn, FrameType.writable, why);
      } else if (mfn !== table) {
        // A linear entry names a table of its own level.
        const isLinear = this.#frames.type(mfn) === level;
        if (isLinear && lo & PTE_RW) this.#problems.push(`${why} slot ${slot} is linear and writable`);
        this.#use(mfn, isLinear ? level : level - 1, why);
        if (this.#frames.owner(mfn) !== this.#frames.owner(table)) {
          this.#problems.push(`${why} slot ${slot} names a table of d${this.#frames.owner(mfn)}`);
        }
      } else if (lo & PTE_RW) {
        this.#problems.push(`${why} slot ${slot} maps itself writable`);
      }
    }
  }

  compare(): string[] {
    this.#drain();
    const frames = this.#frames;
    for (let mfn = frames.machine.firstFrame; mfn < frames.machine.frames; mfn++) {
      const owner = frames.owner(mfn);
      if (owner === DOMID_XEN) continue;
      const count = frames.references(mfn);
      const types = frames.typeReferences(mfn);
      if (count !== this.#general[mfn] || types !== this.#typeCount[mfn]) {
        this.#problems.push(
          `${frames.describe(mfn)}: counted ${this.#general[mfn]} references, ${this.#typeCount[mfn]} of type ${frameTypeName(this.#type[mfn])}`,
        );
      } else if (types > 0 && (frames.type(mfn) !== this.#type[mfn] || !frames.isValidated(mfn))) {
        this.#problems.push(`${frames.describe(mfn)}: counted as ${frameTypeName(this.#type[mfn])}`);
      }
      if (owner === DOMID_INVALID && count > 0)
        this.#problems.push(`${frames.describe(mfn)}: belongs to nobody`);
    }
    return this.#problems;
  }
}

/**
 * Checks what can be said of one frame without looking at all others: its words are consistent, and each entry of a
 * validated table leads to a frame of the right use. For use on the frames that a hypercall touched. Returns problems.
 */
export function checkFrame(memory: PvMemory, mfn: number): string[] {
  const { frames, machine } = memory;
  const problems: string[] = [];
  const say = (what: string): void => {
    problems.push(`${frames.describe(mfn)}: ${what}`);
  };
  const owner = frames.owner(mfn);
  const types = frames.typeReferences(mfn);
  const type = frames.type(mfn);
  if (frames.references(mfn) === 0 && (owner !== DOMID_INVALID || types !== 0 || type !== 0))
    say('free, but in use');
  // A guest may let go of a frame that was lent to it; the loan's type reference stays.
  const lent = frames.flags(mfn) & FRAME_FLAG_XEN_HEAP && !frames.isAllocated(mfn) ? 1 : 0;
  if (frames.references(mfn) + lent < types) say('fewer references than type references');
  if (types > 0 && !frames.isValidated(mfn)) say('in use without being valid');
  if (frames.isPinned(mfn) && (types === 0 || type < FrameType.l1 || type > FrameType.l4))
    say('pinned, but no table');
  if (types === 0 || type < FrameType.l1 || type > FrameType.l4 || owner === DOMID_XEN) return problems;

  for (let slot = 0; slot < TABLE_ENTRIES; slot++) {
    if (type === FrameType.l4 && !isGuestL4Slot(slot)) continue;
    const at = mfn * 1024 + slot * 2;
    const lo = machine.u32[at];
    if (!(lo & PTE_PRESENT)) continue;
    const to = pteFrame(lo, machine.u32[at + 1]);
    if (!frames.isValid(to) || frames.references(to) === 0) say(`slot ${slot} maps a frame that is nobody's`);
    else if (type === FrameType.l1) {
      if (lo & PTE_RW && !frames.isUsedAs(to, FrameType.writable))
        say(`slot ${slot} maps ${frames.describe(to)} writable`);
    } else if (frames.owner(to) !== owner) say(`slot ${slot} names ${frames.describe(to)}`);
    else if (!frames.isUsedAs(to, (type - 1) as FrameType) && (lo & PTE_RW || frames.type(to) !== type)) {
      say(`slot ${slot} names ${frames.describe(to)}`);
    }
  }
  return problems;
}

/**
 * Starts (or goes on) recording the frames whose references change, and checks those recorded since the last call.
 * For test builds, after each hypercall.
 */
export function checkTouchedFrames(memory: PvMemory): string[] {
  const { frames } = memory;
  if (frames.touched === undefined) {
    frames.touched = new Set();
    return [];
  }
  const problems: string[] = [];
  for (const mfn of frames.touched) problems.push(...checkFrame(memory, mfn));
  frames.touched.clear();
  return problems;
}
