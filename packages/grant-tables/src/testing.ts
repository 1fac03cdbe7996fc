import { GNTST_bad_page, GNTST_general_error, GNTST_okay, GTF_permit_access } from '@xenolith/xen-abi';
import type { GrantMapper, GrantMemory } from './grant-memory.js';
import { GrantTables } from './grant-tables.js';

const FRAMES = 64;

/**
 * For tests: memory of 64 frames with counted references. Frames 16–31 belong to PV domain 1, 32–47 to PV domain 2;
 * those that end in 15 are page tables. Frames below 16 are for grant tables. Domain 0 is native and privileged.
 */
export class TestMemory implements GrantMemory {
  readonly bytes = new Uint8Array(FRAMES * 4096);
  readonly refs = new Array<number>(FRAMES).fill(0);
  readonly types = new Array<number>(FRAMES).fill(0);
  readonly written: string[] = [];
  private nextTable = 1;
  tableFrames = 14;

  owner(mfn: number): number | undefined | 'invalid' {
    if (mfn >= FRAMES) return 'invalid';
    return mfn < 16 || mfn >= 48 ? undefined : mfn >> 4;
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
    if (this.nextTable > this.tableFrames) return undefined;
    return this.nextTable++;
  }
  freeGrantFrame(): void {
    this.nextTable--;
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

export function testHost() {
  const memory = new TestMemory();
  const mapper = new TestMapper();
  const grants = new GrantTables(memory, mapper);
  grants.addDomain({ domid: 0, vcpus: 1, privileged: true, translated: true });
  grants.addDomain({ domid: 1, vcpus: 2, maxFrames: 4 });
  grants.addDomain({ domid: 2, vcpus: 2, maxMaptrackFrames: 1 });
  const view = new DataView(memory.bytes.buffer);
  /** Byte address of a domain's entry: the first table frame of domain d is frame d + 1. */
  const entryAt = (domid: number, ref: number) => (domid + 1) * 4096 + ref * 8;
  return {
    memory,
    mapper,
    grants,
    /** What a guest writes into its table. */
    grant(domid: number, ref: number, to: number, frame: number, flags: number = GTF_permit_access) {
      const at = entryAt(domid, ref);
      view.setUint16(at, flags, true);
      view.setUint16(at + 2, to, true);
      view.setUint32(at + 4, frame, true);
    },
    flags: (domid: number, ref: number) => view.getUint16(entryAt(domid, ref), true),
    frameOf: (domid: number, ref: number) => view.getUint32(entryAt(domid, ref) + 4, true),
  };
}
