import { type MachineMemory, PAGE_SIZE } from '@xenolith/mmu';
import { FrameType } from '@xenolith/mmu/frames';
import { EFAULT, EINVAL, FIRST_RESERVED_GDT_ENTRY, FLAT_KERNEL_CS64 } from '@xenolith/xen-abi';
import { isGuestRange, readU64s } from './guest-array.js';
import type { GuestAccess, PvVcpu } from './interfaces.js';
import type { PvMemory } from './pv-memory.js';

const PRESENT = 0x8000;
const DPL_SHIFT = 13;
const DPL = 3 << DPL_SHIFT;
const NOT_SYSTEM = 0x1000;
const TYPE = 0xf00;
const CALL_GATE = 0xc00;
/** The parameter count and reserved bits of a gate, which must be zero. */
const GATE_RESERVED = 0xff;

/** What became of a descriptor that a guest offered: its halves as they may be stored. */
export interface CheckedDescriptor {
  low: number;
  high: number;
}

/**
 * Checks one descriptor of a 64-bit PV guest and makes it harmless, as Xen 4.17's check_descriptor: code and data
 * segments get DPL 3; of the system descriptors only type 0 and call gates pass; a call gate gets DPL 0 (its use faults
 * and can be emulated), its own DPL is kept in the selector's RPL. undefined: refused.
 */
export function checkDescriptor(low: number, high: number): CheckedDescriptor | undefined {
  if (!(high & PRESENT)) return { low, high };
  const guestHigh = (high & ~DPL) | (3 << DPL_SHIFT);
  if (high & NOT_SYSTEM) return { low, high: guestHigh >>> 0 };
  if ((high & TYPE) === 0) return { low, high };
  if ((high & TYPE) !== CALL_GATE) return undefined;
  const selector = low >>> 16;
  const isGuests = selector >>> 3 < FIRST_RESERVED_GDT_ENTRY || (selector & 4) !== 0;
  if (!isGuests && selector !== FLAT_KERNEL_CS64) return undefined;
  if (high & GATE_RESERVED) return undefined;
  return { low: ((((selector & ~3) | 3) << 16) | (low & 0xffff)) >>> 0, high: (high & ~DPL) >>> 0 };
}

/** Checks and adjusts all 512 descriptors of a frame in place; false at the first bad one. */
export function isDescriptorPageValid(machine: MachineMemory, mfn: number): boolean {
  const words = machine.u32.subarray((mfn * PAGE_SIZE) / 4, ((mfn + 1) * PAGE_SIZE) / 4);
  for (let i = 0; i < words.length; i += 2) {
    if (!(words[i + 1] & PRESENT)) continue;
    const checked = checkDescriptor(words[i], words[i + 1]);
    if (checked === undefined) return false;
    words[i] = checked.low;
    words[i + 1] = checked.high;
  }
  return true;
}

/** Gives back the frames of the vCPU's GDT; it has none afterwards. */
export function destroyGdt(memory: PvMemory, vcpu: PvVcpu): void {
  for (const mfn of vcpu.gdtFrames) memory.frames.putPageAndType(mfn);
  vcpu.gdtFrames = [];
  vcpu.gdtEntries = 0;
}

/**
 * Makes `frames` the vCPU's GDT of `entries` descriptors (0 … 7168). Also for VCPUOP_initialise and the domain builder.
 * 0 or −EINVAL, then the old table stays.
 */
export function setGdtFrames(
  memory: PvMemory,
  vcpu: PvVcpu,
  frames: readonly number[],
  entries: number,
): number {
  if (entries > FIRST_RESERVED_GDT_ENTRY) return -EINVAL;
  const taken: number[] = [];
  for (const mfn of frames.slice(0, Math.ceil(entries / 512))) {
    if (memory.frames.getPageAndType(mfn, vcpu.domain.domid, FrameType.segDesc) !== 0) {
      memory.refused(`GDT frame: ${memory.frames.describe(mfn)}`);
      for (const got of taken) memory.frames.putPageAndType(got);
      return -EINVAL;
    }
    taken.push(mfn);
  }
  destroyGdt(memory, vcpu);
  vcpu.gdtFrames = taken;
  vcpu.gdtEntries = entries;
  return 0;
}

/** `set_gdt`: `list` points to one u64 frame number for each 512 entries. */
export function setGdt(
  memory: PvMemory,
  vcpu: PvVcpu,
  guest: GuestAccess,
  list: bigint,
  entries: number,
): number {
  if (entries > FIRST_RESERVED_GDT_ENTRY) return -EINVAL;
  const count = Math.ceil(entries / 512);
  const frames = count === 0 ? [] : isGuestRange(list) ? readU64s(guest, list, count) : undefined;
  if (frames === undefined) return -EFAULT;
  return setGdtFrames(memory, vcpu, frames, entries);
}

/** `update_descriptor`: writes one descriptor at a machine address, in a descriptor page or a writable one. */
export function updateDescriptor(
  memory: PvMemory,
  vcpu: PvVcpu,
  address: bigint,
  descriptor: bigint,
): number {
  const low = Number(descriptor & 0xffff_ffffn);
  const high = Number(descriptor >> 32n);
  const checked = checkDescriptor(low, high);
  if ((address & 7n) !== 0n || checked === undefined) return -EINVAL;
  const mfn = Number(address >> 12n);
  const frames = memory.frames;
  if (!frames.getPage(mfn, vcpu.domain.domid)) return -EINVAL;
  const type = frames.type(mfn) === FrameType.segDesc ? FrameType.segDesc : FrameType.writable;
  if (frames.getPageType(mfn, type) !== 0) {
    frames.putPage(mfn);
    return -EINVAL;
  }
  const at = Number(address) / 4;
  frames.machine.u32[at] = checked.low;
  frames.machine.u32[at + 1] = checked.high;
  frames.codeWritten(at * 4, 8);
  frames.putPageAndType(mfn);
  return 0;
}
