import { FrameType } from '@xenolith/mmu/frames';
import { EINVAL } from '@xenolith/xen-abi';
import { isGuestRange } from './guest-array.js';
import type { PvVcpu } from './interfaces.js';
import { PTE_PRESENT, pteFrame } from './pte.js';
import type { PvMemory } from './pv-memory.js';
import { findL1Entry } from './walk.js';

/** Gives back the pages of the vCPU's LDT that were mapped on demand. */
export function destroyLdt(memory: PvMemory, vcpu: PvVcpu): void {
  for (let page = 0; page < vcpu.ldtFrames.length; page++) {
    const mfn = vcpu.ldtFrames[page];
    if (mfn === 0) continue;
    vcpu.ldtFrames[page] = 0;
    memory.frames.putPageAndType(mfn);
  }
}

/** MMUEXT_SET_LDT: `entries` 0 … 8192 descriptors at a page-aligned linear address. */
export function setLdt(memory: PvMemory, vcpu: PvVcpu, linear: bigint, entries: number): number {
  const base = entries === 0 ? 0n : linear;
  if (entries > 8192 || (base & 0xfffn) !== 0n || !isGuestRange(base)) return -EINVAL;
  if (vcpu.ldtEntries !== entries || vcpu.ldtBase !== base) {
    destroyLdt(memory, vcpu);
    vcpu.ldtBase = base;
    vcpu.ldtEntries = entries;
  }
  return 0;
}

/**
 * The frame that holds the descriptor at byte `offset` of the vCPU's LDT, mapped and validated on first use; 0 when there
 * is no such page or it may not be a descriptor page: a fault for the guest.
 */
export function ldtFrame(memory: PvMemory, vcpu: PvVcpu, offset: number): number {
  if (offset >>> 3 >= vcpu.ldtEntries) return 0;
  const page = offset >>> 12;
  if (vcpu.ldtFrames[page] !== 0) return vcpu.ldtFrames[page];
  const at = findL1Entry(memory, vcpu.guestTable, BigInt.asUintN(64, vcpu.ldtBase + BigInt(offset)));
  const u32 = memory.frames.machine.u32;
  if (at < 0 || !(u32[at] & PTE_PRESENT)) return 0;
  const mfn = pteFrame(u32[at], u32[at + 1]);
  if (memory.frames.getPageAndType(mfn, vcpu.domain.domid, FrameType.segDesc) !== 0) return 0;
  vcpu.ldtFrames[page] = mfn;
  return mfn;
}
