/**
 * Page-table entries of a 64-bit PV guest, as two 32-bit halves: Xen 4.17's rules for which bits a guest may set and
 * which ones Xen adds. The guest sees the additions in its own tables.
 *
 * ```text
 * lo  31 ─────── 12 │ 11 ─ 9 │ 8 │ 7   │ 6 │ 5 │ 4   │ 3   │ 2 │ 1 │ 0
 *     frame 19 ─ 0  │ avail  │ G │ PSE │ D │ A │ PCD │ PWT │ U │ W │ P
 * hi  31 │ 30 ───── 21 │ 20           │ 19 ──── 0
 *     NX │ available   │ guest kernel │ frame 39 ─ 20
 * ```
 */
export const PTE_PRESENT = 0x1;
export const PTE_RW = 0x2;
export const PTE_USER = 0x4;
export const PTE_ACCESSED = 0x20;
export const PTE_DIRTY = 0x40;
export const PTE_GLOBAL = 0x100;
/** In the high half: Xen's mark of an entry that the guest made for its kernel (bit 52). */
export const PTE_HI_GUEST_KERNEL = 0x10_0000;
/** In the high half: frame bits 39–20; set, they name a frame that no machine of ours has. */
export const PTE_HI_FRAME = 0xf_ffff;
export const PTE_HI_NX = 0x8000_0000;

/** PWT, PCD and PAT: a guest without devices may not choose a memory type. */
export const L1_DISALLOWED = 0x98;
/** PWT, PCD, PSE and global. */
export const TABLE_DISALLOWED = 0x198;

/**
 * Bits that may change without a new check of the entry: low half available, global, dirty, accessed and user; in the
 * high half everything but the frame.
 */
export const FAST_LOW = 0xe00 | PTE_GLOBAL | PTE_DIRTY | PTE_ACCESSED | PTE_USER;
export const FAST_HIGH = 0xfff0_0000;

/** L4 slots that belong to Xen: 256 … 271. */
export const XEN_SLOT_FIRST = 256;
export const XEN_SLOT_LAST = 271;
export const isGuestL4Slot = (slot: number): boolean => slot < XEN_SLOT_FIRST || slot > XEN_SLOT_LAST;

/** Low half of a present L1 entry as Xen stores it: always user; global unless it is a kernel entry. */
export function adjustL1Low(lo: number, hi: number): number {
  if (lo & PTE_USER && !(hi & PTE_HI_GUEST_KERNEL)) return lo | PTE_GLOBAL;
  return lo | PTE_USER;
}

/** High half of a present L1 entry as Xen stores it: an entry without the user bit is marked as a kernel entry. */
export const adjustL1High = (lo: number, hi: number): number =>
  lo & PTE_USER ? hi : hi | PTE_HI_GUEST_KERNEL;

/** Low half of a present entry of a higher table as Xen stores it. */
export const adjustTableLow = (lo: number, level: number): number =>
  lo | (level === 4 ? PTE_USER | PTE_ACCESSED : PTE_USER);

/** The frame that an entry names; a number above every machine's when the high half has frame bits. */
export const pteFrame = (lo: number, hi: number): number => (hi & PTE_HI_FRAME) * 0x10_0000 + (lo >>> 12);

/** The frame that an all-ones address names (INVALID_MFN within 52 address bits). */
export const INVALID_FRAME = 0xff_ffff_ffff;
