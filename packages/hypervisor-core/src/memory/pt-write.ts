import { FrameType } from '@xenolith/mmu/frames';
import type { PvVcpu } from './interfaces.js';
import { PTE_PRESENT, PTE_RW, pteFrame } from './pte.js';
import type { PvMemory } from './pv-memory.js';
import { findL1Entry } from './walk.js';

/**
 * Writable page tables: the guest's kernel may write to an L1 table that it maps read-only; the fault is turned into a
 * checked update. The frame of that table, or 0 when a write fault at `linear` is the guest's own affair. To be asked for
 * a fault of the guest's kernel with error code "present, write" (VMASST_TYPE_writable_pagetables enabled).
 */
export function ptWriteFrame(memory: PvMemory, vcpu: PvVcpu, linear: bigint): number {
  const { frames } = memory;
  const at = findL1Entry(memory, vcpu.guestTable, linear);
  if (at < 0) return 0;
  const u32 = frames.machine.u32;
  if ((u32[at] & (PTE_PRESENT | PTE_RW)) !== PTE_PRESENT) return 0;
  const mfn = pteFrame(u32[at], u32[at + 1]);
  if (!frames.isValid(mfn) || frames.owner(mfn) !== vcpu.domain.domid) return 0;
  return frames.isUsedAs(mfn, FrameType.l1) ? mfn : 0;
}

/**
 * Carries out the write of `bytes` (1, 2, 4 or 8, naturally aligned) at `linear` that faulted, as Xen 4.17's
 * ptwr_emulated_update. A write of less than an entry changes that part of it. false: not such a write, or Xen refuses
 * the new entry; the guest gets its page fault.
 */
export function emulatePtWrite(memory: PvMemory, vcpu: PvVcpu, linear: bigint, bytes: Uint8Array): boolean {
  const size = bytes.length;
  const offset = Number(linear & 0xfffn);
  if (![1, 2, 4, 8].includes(size) || offset % size !== 0) return false;
  const mfn = ptWriteFrame(memory, vcpu, linear);
  if (mfn === 0) return false;
  const machine = memory.frames.machine;
  const entry = mfn * 4096 + (offset & ~7);
  const merged = machine.bytes.slice(entry, entry + 8);
  merged.set(bytes, offset & 7);
  const words = new Uint32Array(merged.buffer);
  return memory.tables.writeL1(entry / 4, words[0], words[1], vcpu.domain.domid) === 0;
}
