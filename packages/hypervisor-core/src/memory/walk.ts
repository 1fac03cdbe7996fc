import { isGuestRange } from './guest-array.js';
import { PTE_PRESENT, pteFrame } from './pte.js';
import type { PvMemory } from './pv-memory.js';

const PSE = 0x80;

/**
 * The L1 entry of a linear address under the root table `root`, as an index in 32-bit words of machine memory; −1 when
 * the address is Xen's or a higher table has no entry for it. The entry itself need not be present.
 */
export function findL1Entry(memory: PvMemory, root: number, linear: bigint): number {
  if (root === 0 || !isGuestRange(linear)) return -1;
  const u32 = memory.frames.machine.u32;
  const lo = Number(linear & 0xffff_ffffn);
  const hi = Number(linear >> 32n);
  let table = root;
  const slots = [(hi >>> 7) & 0x1ff, ((hi << 2) | (lo >>> 30)) & 0x1ff, (lo >>> 21) & 0x1ff];
  for (const slot of slots) {
    const at = table * 1024 + slot * 2;
    if ((u32[at] & (PTE_PRESENT | PSE)) !== PTE_PRESENT) return -1;
    table = pteFrame(u32[at], u32[at + 1]);
  }
  return table * 1024 + ((lo >>> 12) & 0x1ff) * 2;
}
