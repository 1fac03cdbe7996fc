import { FrameType } from '@xenolith/mmu/frames';
import {
  GNTMAP_application_map,
  GNTMAP_contains_pte,
  GNTMAP_readonly,
  GNTST_general_error,
  GNTST_okay,
} from '@xenolith/xen-abi';
import { toNumber } from './guest-array.js';
import type { PvVcpu } from './interfaces.js';
import {
  adjustL1High,
  adjustL1Low,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_HI_NX,
  PTE_PRESENT,
  PTE_RW,
  PTE_USER,
  pteFrame,
} from './pte.js';
import type { PvMemory } from './pv-memory.js';
import { findL1Entry } from './walk.js';

const GUEST_AVAIL_SHIFT = 16;
const PTE_AVAIL_SHIFT = 9;

/** The L1 entry that a grant operation's host address means, as an index in words; −1: it is not in a table of the vCPU's. */
function entryOf(memory: PvMemory, vcpu: PvVcpu, address: bigint, flags: number): number {
  const { frames } = memory;
  let at = -1;
  if (!(flags & GNTMAP_contains_pte)) at = findL1Entry(memory, vcpu.guestTable, address);
  else if ((address & 7n) === 0n && frames.isValid(Math.floor(toNumber(address) / 4096)))
    at = toNumber(address) / 4;
  if (at < 0) return -1;
  const table = at >>> 10;
  return frames.owner(table) === vcpu.domain.domid && frames.isUsedAs(table, FrameType.l1) ? at : -1;
}

/**
 * Writes the entry of a grant mapping: GNTTABOP_map_grant_ref with a host address (linear, or the machine address of an
 * entry with GNTMAP_contains_pte). The caller has taken a reference of the frame, and a writable type reference unless
 * GNTMAP_readonly: from here on they are the entry's. Returns GNTST_okay or GNTST_general_error (then nothing changed).
 */
export function createGrantMapping(
  memory: PvMemory,
  vcpu: PvVcpu,
  address: bigint,
  mfn: number,
  flags: number,
): number {
  const at = entryOf(memory, vcpu, address, flags);
  if (at < 0) return GNTST_general_error;
  let lo = mfn * 4096 + (PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY);
  if (flags & GNTMAP_application_map) lo |= PTE_USER;
  if (!(flags & GNTMAP_readonly)) lo |= PTE_RW;
  lo |= ((flags >>> GUEST_AVAIL_SHIFT) & 7) << PTE_AVAIL_SHIFT;
  const u32 = memory.frames.machine.u32;
  const oldLo = u32[at];
  const oldHi = u32[at + 1];
  u32[at] = adjustL1Low(lo, PTE_HI_NX);
  u32[at + 1] = adjustL1High(lo, PTE_HI_NX);
  memory.tables.putL1(oldLo, oldHi);
  return GNTST_okay;
}

/**
 * Takes the entry of a grant mapping away: GNTTABOP_unmap_grant_ref, or with `newAddress` not 0 GNTTABOP_unmap_and_replace,
 * which moves the entry of that linear address here. The entry must still map the frame as granted. On GNTST_okay the
 * frame's references are the caller's again. As in Xen the entry of `newAddress` is gone even if the rest fails. The caller
 * flushes the TLB in any case.
 */
export function replaceGrantMapping(
  memory: PvMemory,
  vcpu: PvVcpu,
  address: bigint,
  mfn: number,
  newAddress: bigint,
  flags: number,
): number {
  const u32 = memory.frames.machine.u32;
  let lo = 0;
  let hi = 0;
  if (newAddress !== 0n) {
    if (flags & GNTMAP_contains_pte) return GNTST_general_error;
    const from = entryOf(memory, vcpu, newAddress, 0);
    if (from < 0) return GNTST_general_error;
    lo = u32[from];
    hi = u32[from + 1];
    u32[from] = 0;
    u32[from + 1] = 0;
  }
  const at = entryOf(memory, vcpu, address, flags);
  const access = PTE_PRESENT | (flags & GNTMAP_readonly ? 0 : PTE_RW);
  if (at < 0 || pteFrame(u32[at], u32[at + 1]) !== mfn || (u32[at] & (PTE_PRESENT | PTE_RW)) !== access) {
    memory.tables.putL1(lo, hi);
    return GNTST_general_error;
  }
  u32[at] = lo;
  u32[at + 1] = hi;
  return GNTST_okay;
}
