import {
  GNTST_bad_page,
  GNTST_general_error,
  GNTST_okay,
  GrantEntryV2,
  GTF_permit_access,
  GTF_sub_page,
  GTF_transitive,
} from '@xenolith/xen-abi';
import type { GrantDomainOptions } from './domain-grants.js';
import { place } from './domain-grants.js';
import type { GrantMapper, GrantMemory } from './grant-memory.js';
import { GrantTables } from './grant-tables.js';

const FRAMES = 80;
const FIRST_OWNED = 16;
const FIRST_UNOWNED = 64;

/**
 * For tests: memory of 80 frames with counted references. Frames 16–31 belong to PV domain 1, 32–47 to PV domain 2 and
 * 48–63 to PV domain 3, at first; those that end in 15 are page tables. Frames below 16 are for grant tables. Domain 0 is
 * native and privileged.
 */
export class TestMemory implements GrantMemory {
  readonly bytes = new Uint8Array(FRAMES * 4096);
  readonly refs = new Array<number>(FRAMES).fill(0);
  readonly types = new Array<number>(FRAMES).fill(0);
  readonly written: string[] = [];
  /** Frames of grant tables that "the domain maps". */
  readonly mappedTables = new Set<number>();
  /** Transfers of frames in the middle of which there may be no owner. */
  readonly stolen = new Set<number>();
  /** mfn → page number that its latest owner got it as. */
  readonly given = new Map<number, number>();
  readonly full = new Set<number>();
  /** Frames for grant tables that are left. */
  readonly tables = Array.from({ length: 15 }, (_, n) => n + 1);
  private readonly owners = new Map<number, number | undefined>();

  owner(mfn: number): number | undefined | 'invalid' {
    if (!(mfn < FRAMES)) return 'invalid';
    if (this.owners.has(mfn)) return this.owners.get(mfn);
    return mfn < FIRST_OWNED || mfn >= FIRST_UNOWNED ? undefined : mfn >> 4;
  }
  getFrame(domid: number, frame: number): number {
    return this.getPage(frame, domid) ? frame : GNTST_bad_page;
  }
  getPage(mfn: number, domid: number): boolean {
    if (this.owner(mfn) !== domid) return false;
    this.refs[mfn]!++;
    return true;
  }
  putPage(mfn: number): void {
    this.refs[mfn]!--;
  }
  getWritableType(mfn: number): boolean {
    if (mfn % 16 === 15) return false;
    this.types[mfn]!++;
    return true;
  }
  putWritableType(mfn: number): void {
    this.types[mfn]!--;
  }
  allocGrantFrame(): number | undefined {
    const mfn = this.tables.shift();
    if (mfn !== undefined) this.bytes.fill(0, mfn * 4096, (mfn + 1) * 4096);
    return mfn;
  }
  freeGrantFrame(_domid: number, mfn: number): void {
    this.tables.unshift(mfn);
  }
  isGrantFrameMapped(mfn: number): boolean {
    return this.mappedTables.has(mfn);
  }
  stealFrame(domid: number, frame: number): number {
    if (domid === 0) return GNTST_general_error;
    if (this.owner(frame) !== domid || this.refs[frame] || frame % 16 === 15) return GNTST_bad_page;
    this.owners.set(frame, undefined);
    this.stolen.add(frame);
    return frame;
  }
  discardFrame(mfn: number): void {
    if (!this.stolen.delete(mfn)) throw new Error(`frame ${mfn} was not stolen`);
  }
  takesFrame(domid: number): boolean {
    return !this.full.has(domid);
  }
  giveFrame(mfn: number, domid: number, gfn: number): void {
    this.discardFrame(mfn);
    this.owners.set(mfn, domid);
    this.given.set(mfn, gfn);
  }
  wrote(mfn: number, offset: number, length: number): void {
    this.written.push(`${mfn}+${offset}:${length}`);
  }
}

/** Knows which address maps what; address 0xbad cannot be mapped. */
export class TestMapper implements GrantMapper {
  readonly mapped = new Map<string, number>();
  readonly crashed: number[] = [];

  map(domid: number, hostAddr: bigint, mfn: number): number {
    if (hostAddr === 0xbadn) return GNTST_general_error;
    this.mapped.set(`${domid}:${hostAddr}`, mfn);
    return GNTST_okay;
  }
  unmap(domid: number, hostAddr: bigint, mfn: number, newAddr: bigint): number {
    const key = `${domid}:${hostAddr}`;
    if (this.mapped.get(key) !== mfn) return GNTST_general_error;
    this.mapped.delete(key);
    if (newAddr) this.mapped.set(`${domid}:new`, Number(newAddr));
    return GNTST_okay;
  }
  crash(domid: number): void {
    this.crashed.push(domid);
  }
}

/** A host with domain 0 (native) and the PV domains 1, 2 (256 handles only) and 3. */
export function testHost(options: Partial<GrantDomainOptions> = {}) {
  const memory = new TestMemory();
  const mapper = new TestMapper();
  const grants = new GrantTables(memory, mapper);
  grants.addDomain({ domid: 0, vcpus: 1, privileged: true, translated: true });
  grants.addDomain({ domid: 1, vcpus: 2, maxFrames: 4, ...options });
  grants.addDomain({ domid: 2, vcpus: 2, maxMaptrackFrames: 1 });
  grants.addDomain({ domid: 3, vcpus: 1, maxFrames: 2 });
  const view = new DataView(memory.bytes.buffer);
  const table = (domid: number): { frames: readonly number[]; status: readonly number[] } => ({
    frames: grants.setupTable(domid, domid, grants.querySize(domid, domid).frames).frames,
    status: grants.getVersion(domid, domid) === 2 ? grants.getStatusFrames(domid, domid, 1).frames : [],
  });
  /** Byte address of a domain's entry. */
  const entryAt = (domid: number, ref: number): number =>
    place(table(domid).frames, ref, grants.getVersion(domid, domid) === 2 ? 16 : 8);
  const header = (domid: number, ref: number, flags: number, to: number) => {
    const at = entryAt(domid, ref);
    view.setUint16(at, flags, true);
    view.setUint16(at + 2, to, true);
    return GrantEntryV2.at(view, at);
  };
  return {
    memory,
    mapper,
    grants,
    entryAt,
    /** What a guest writes into its table, in the layout that it chose. */
    grant(domid: number, ref: number, to: number, frame: number, flags: number = GTF_permit_access) {
      const entry = header(domid, ref, flags, to);
      if (grants.getVersion(domid, domid) === 2) entry.full_page.frame = BigInt(frame);
      else view.setUint32(entryAt(domid, ref) + 4, frame, true);
    },
    /** Version 2 only. */
    grantPart(
      domid: number,
      ref: number,
      to: number,
      frame: number,
      offset: number,
      length: number,
      flags = 0,
    ) {
      const { sub_page: page } = header(domid, ref, GTF_permit_access | GTF_sub_page | flags, to);
      page.frame = BigInt(frame);
      page.page_off = offset;
      page.length = length;
    },
    /** Version 2 only. */
    passOn(domid: number, ref: number, to: number, through: number, throughRef: number, flags = 0) {
      const { transitive } = header(domid, ref, GTF_transitive | flags, to);
      transitive.trans_domid = through;
      transitive.gref = throughRef;
    },
    flags: (domid: number, ref: number) => view.getUint16(entryAt(domid, ref), true),
    /** GTF_reading and GTF_writing of version 2. */
    status: (domid: number, ref: number) => view.getUint16(place(table(domid).status, ref, 2), true),
    frameOf: (domid: number, ref: number) =>
      grants.getVersion(domid, domid) === 2
        ? Number(view.getBigUint64(entryAt(domid, ref) + 8, true))
        : view.getUint32(entryAt(domid, ref) + 4, true),
  };
}
