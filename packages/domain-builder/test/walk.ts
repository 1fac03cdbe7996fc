import type { ArrayTarget } from '../src/pv/build-target.js';

/** One page of the initial mapping, as found by walking the tables from the level-4 frame. */
export interface MappedPage {
  readonly virtual: bigint;
  readonly pfn: number;
  readonly flags: number;
}

/** Walks all page tables without knowing how they were made. */
export function walk(
  target: ArrayTarget,
  l4Mfn: number,
): { pages: MappedPage[]; tables: Map<number, number> } {
  const pages: MappedPage[] = [];
  const tables = new Map<number, number>();
  const view = new DataView(target.bytes.buffer);
  const visit = (mfn: number, level: number, base: bigint): void => {
    const pfn = mfn - target.firstMfn;
    if (tables.has(pfn)) throw new Error(`pfn ${pfn} is used as a table twice`);
    tables.set(pfn, level);
    for (let i = 0; i < 512; i++) {
      const entry = view.getBigUint64(pfn * 4096 + i * 8, true);
      if ((entry & 1n) === 0n) {
        if (entry !== 0n) throw new Error(`entry ${i} of table ${pfn} is not present but not 0`);
        continue;
      }
      const virtual = base + (BigInt(i) << BigInt(12 + 9 * (level - 1)));
      const frame = Number(entry >> 12n);
      if (level > 1) {
        if ((entry & 0xfffn) !== 0x67n) throw new Error(`table entry with flags ${entry & 0xfffn}`);
        visit(frame, level - 1, virtual);
      } else {
        const address = BigInt.asUintN(64, BigInt.asIntN(48, virtual));
        pages.push({ virtual: address, pfn: frame - target.firstMfn, flags: Number(entry & 0xfffn) });
      }
    }
  };
  visit(l4Mfn, 4, 0n);
  return { pages, tables };
}
