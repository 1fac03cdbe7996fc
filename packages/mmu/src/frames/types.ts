/**
 * The bits of a frame's two state words (see FRAME in `layout.ts`).
 *
 * ```text
 * count  31 │ 30 ─────────────────────────── 0
 *        A  │ general references
 * type   31 ─ 29 │ 28 │ 27 │ 26 ───────────── 0
 *        type    │ P  │ V  │ type references
 * ```
 * A: allocated to a domain (one of the references stands for that); P: pinned; V: validated.
 */
export const COUNT_ALLOCATED = 0x8000_0000;
export const COUNT_MASK = 0x7fff_ffff;
export const TYPE_SHIFT = 29;
export const TYPE_PINNED = 0x1000_0000;
export const TYPE_VALIDATED = 0x0800_0000;
export const TYPE_COUNT_MASK = 0x07ff_ffff;

/**
 * What a frame is used as. Uses of different types exclude each other; a type is changed only while nobody holds a type
 * reference. The numbers are Xen's PGT_* (the level is the number for page tables).
 */
export const FrameType = {
  none: 0,
  l1: 1,
  l2: 2,
  l3: 3,
  l4: 4,
  segDesc: 5,
  writable: 7,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

const NAMES = ['none', 'l1', 'l2', 'l3', 'l4', 'seg_desc', 'shared', 'writable'];
export const frameTypeName = (type: number): string => NAMES[type & 7];

/** In FRAME.flags: memory of the hypervisor lent to a guest (shared_info, grant table): not part of its allowance. */
export const FRAME_FLAG_XEN_HEAP = 4;
