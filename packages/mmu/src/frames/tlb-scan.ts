import { PAGE_SHIFT, TLB_ENTRIES, TLB_ENTRY_SIZE, TLB_WRITE } from '../layout.js';
import type { MachineMemory } from '../machine-memory.js';

const WORDS = TLB_ENTRY_SIZE / 4;

/**
 * Makes every write entry of the TLB that leads to the frame unusable (its tag becomes all ones), in all address spaces.
 * Some microseconds, where a full flush costs the refill of everything.
 */
export function forgetWriteEntries(machine: MachineMemory, mfn: number): void {
  const u32 = machine.u32;
  const start = TLB_WRITE / 4;
  const end = start + TLB_ENTRIES * WORDS;
  for (let entry = start; entry < end; entry += WORDS) {
    // The addend turns a linear address into a machine address modulo 2^32.
    const page = ((u32[entry] & ~0xfff) + u32[entry + 2]) >>> PAGE_SHIFT;
    if (page === mfn) {
      u32[entry] = 0xffff_ffff;
      u32[entry + 1] = 0xffff_ffff;
    }
  }
}
