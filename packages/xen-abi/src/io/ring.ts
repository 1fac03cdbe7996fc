// Xen public header io/ring.h.

import { bytes, struct, u32 } from '../layout/index.js';

/**
 * Bytes before the first slot of a request/response ring (`offsetof(struct NAME_sring, ring)` of any ring type
 * made by `DEFINE_RING_TYPES`).
 */
export const SRING_RING_OFFSET = 64;

/** The part of a request/response ring that comes before its slots. */
export const SringHeader = struct('', {
  req_prod: u32,
  /** The backend wants a notification when `req_prod` passes this index. */
  req_event: u32,
  rsp_prod: u32,
  /** The frontend wants a notification when `rsp_prod` passes this index. */
  rsp_event: u32,
  pvt: bytes(4),
  __pad: bytes(44),
});

/** Slots of a ring in `size` bytes (a power of two, as `__CONST_RING_SIZE`), each of `slotSize` bytes. */
export function ringSlots(size: number, slotSize: number): number {
  const room = Math.floor((size - SRING_RING_OFFSET) / slotSize);
  return room < 1 ? 0 : 2 ** Math.floor(Math.log2(room));
}

/** Indices of a byte ring with two directions (`DEFINE_XEN_FLEX_RING`); `ring_order` and grants follow. */
export const FlexRingHeader = struct('', {
  in_cons: u32,
  in_prod: u32,
  pad1: bytes(56),
  out_cons: u32,
  out_prod: u32,
  pad2: bytes(56),
  ring_order: u32,
});
