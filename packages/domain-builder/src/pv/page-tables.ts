import { BadInputError } from '@xenolith/host-interface';
import { hex } from '../reader.js';

/** Virtual addresses here are the low 48 bits, so that they are exact as numbers; ranges include both ends. */
export const VIRTUAL_END = 2 ** 48;
export const PAGE_SIZE = 4096;
/** Bytes that an entry of a table of level 1 … 4 maps: 4 KiB, 2 MiB, 1 GiB, 512 GiB. */
const entrySpan = (level: number): number => 2 ** (12 + 9 * (level - 1));
const ENTRIES = 512;

const _PAGE_PRESENT = 0x01;
const _PAGE_RW = 0x02;
const _PAGE_USER = 0x04;
const _PAGE_ACCESSED = 0x20;
const _PAGE_DIRTY = 0x40;
const LEAF = _PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED;
const TABLE = _PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_USER;

/** Tables of one level that one mapping adds: `tables` pages from `pfn` on, mapping from … to. None: `tables` is 0. */
export interface TableRange {
  readonly from: number;
  readonly to: number;
  readonly pfn: number;
  readonly tables: number;
}

/** A range of virtual memory mapped to consecutive pfns, and the tables that it adds to those of earlier mappings. */
export interface Mapping {
  readonly from: number;
  readonly to: number;
  /** What the first page is mapped to. */
  readonly pfn: number;
  /** Tables of levels 1 to 4 (index 0 to 3), and the number of all of them. */
  readonly levels: readonly TableRange[];
  readonly tables: number;
}

/**
 * Counts the tables that a mapping needs besides those of the mappings before it, and places them at `tablesPfn`, the
 * level-4 table first (as Xen's domain builder orders them).
 * @throws BadInputError if it overlaps an earlier mapping
 */
export function planMapping(
  earlier: readonly Mapping[],
  from: number,
  to: number,
  pfn: number,
  tablesPfn: number,
): Mapping {
  const clash = earlier.find((m) => from <= m.to && to >= m.from);
  if (clash !== undefined) {
    throw new BadInputError(
      `The kernel asks for overlapping mappings (INIT_P2M): ${hex(from)} to ${hex(to)} and ${hex(clash.from)} to ${hex(clash.to)}.`,
    );
  }
  const levels: TableRange[] = [];
  let tables = 0;
  for (let level = 4; level >= 1; level--) {
    const range = tableRange(earlier, level, from, to);
    levels.unshift({ ...range, pfn: tablesPfn + tables });
    tables += range.tables;
  }
  return { from, to, pfn, levels, tables };
}

const NONE = { from: 0, to: 0, tables: 0 };

function tableRange(
  earlier: readonly Mapping[],
  level: number,
  from: number,
  to: number,
): Omit<TableRange, 'pfn'> {
  if (level === 4) return earlier.length === 0 ? { from: 0, to: VIRTUAL_END - 1, tables: 1 } : NONE;
  const span = entrySpan(level + 1);
  let first = from - (from % span);
  let last = to - (to % span) + span - 1;
  for (const { levels } of earlier) {
    const other = levels[level - 1]!;
    if (other.tables === 0) continue;
    if (first >= other.from && last <= other.to) return NONE;
    if (first >= other.from && first <= other.to) first = other.to + 1;
    if (last >= other.from && last <= other.to) last = other.from - 1;
  }
  return { from: first, to: last, tables: (last + 1 - first) / span };
}

/** Table pages with their levels (1 to 4), the level-4 table first. */
export function tablePages(mappings: readonly Mapping[]): { pfn: number; level: number }[] {
  return mappings.flatMap(({ levels }) =>
    [4, 3, 2, 1].flatMap((level) => {
      const { pfn, tables } = levels[level - 1]!;
      return Array.from({ length: tables }, (_, i) => ({ pfn: pfn + i, level }));
    }),
  );
}

/**
 * Fills the tables with real machine frame numbers. Pages of page tables are mapped read-only, as Xen demands of a
 * frame that is to become a page table.
 * @param page bytes of a pfn, cleared before
 */
export function fillPageTables(
  mappings: readonly Mapping[],
  p2m: (pfn: number) => number,
  page: (pfn: number) => Uint8Array,
): void {
  const isTable = new Set(tablePages(mappings).map((t) => t.pfn));
  for (let level = 4; level >= 1; level--) {
    const span = entrySpan(level);
    for (const { levels } of mappings) {
      const table = levels[level - 1]!;
      if (table.tables === 0) continue;
      for (const below of mappings) {
        const target = level === 1 ? { ...below, tables: 1 } : below.levels[level - 2]!;
        if (target.tables === 0 || target.from > table.to || target.to < table.from) continue;
        const start = Math.max(table.from, target.from);
        const first = Math.floor((start - table.from) / span);
        const last = Math.floor((Math.min(table.to, target.to) - table.from) / span);
        let pfn = target.pfn + Math.floor((start - target.from) / span);
        let view: DataView | undefined;
        for (let index = first; index <= last; index++, pfn++) {
          if (view === undefined || index % ENTRIES === 0)
            view = pageView(page(table.pfn + Math.floor(index / ENTRIES)));
          const flags = level > 1 ? TABLE : isTable.has(pfn) ? LEAF & ~_PAGE_RW : LEAF;
          const mfn = p2m(pfn);
          view.setUint32((index % ENTRIES) * 8, ((mfn << 12) | flags) >>> 0, true);
          view.setUint32((index % ENTRIES) * 8 + 4, mfn >>> 20, true);
        }
      }
    }
  }
}

export const pageView = (page: Uint8Array): DataView =>
  new DataView(page.buffer, page.byteOffset, page.byteLength);
