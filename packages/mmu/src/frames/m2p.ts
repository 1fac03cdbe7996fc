import { BadInputError } from '@xenolith/host-interface';
import { PAGE_SIZE } from '../layout.js';
import type { MachineMemory } from '../machine-memory.js';
import type { FrameTable } from './frame-table.js';

/** Entries of the M2P, and of a page table, in one frame. */
const PER_FRAME = 512;
/** Present, user, accessed, dirty: a read-only mapping that no walk needs to write to. */
const READ_ONLY = 0x65;
const NX_HIGH = 0x8000_0000;
/** One L3 slot maps 512 × 512 frames of M2P; Xen's range ends after 256 of them (256 GiB). */
const L3_SLOTS = 256;

/**
 * The machine-to-physical table: for each mfn the owner's pfn as a u64, all ones where there is none. It lies in frames of
 * the hypervisor that every domain may read; `l3` is the page table that maps it read-only for slot 256 of each PV L4
 * (0xffff800000000000, `MACH2PHYS_VIRT_START` of xen/arch-x86/xen-x86_64.h). Beyond the machine's last frame every index
 * of the range reads all ones.
 */
export class M2p {
  /** Frame of the Xen-owned L3 table for L4 slot 256. */
  readonly l3: number;
  /** The frames that hold the table, in order. */
  readonly storage: Uint32Array;
  readonly #machine: MachineMemory;

  constructor(frames: FrameTable) {
    this.#machine = frames.machine;
    const take = (isPublic: boolean): number => {
      const mfn = frames.allocateXen(isPublic);
      if (mfn < 0) throw new BadInputError('The machine is too small for its machine-to-physical table.');
      return mfn;
    };
    const ones = take(true);
    this.#machine.frame(ones).fill(0xff);
    this.storage = new Uint32Array(Math.ceil(this.#machine.frames / PER_FRAME));
    for (let i = 0; i < this.storage.length; i++) {
      this.storage[i] = take(true);
      this.#machine.frame(this.storage[i]).fill(0xff);
    }

    const onesL1 = this.#table(take(false), () => ones);
    const onesL2 = this.#table(take(false), () => onesL1);
    const l1s: number[] = [];
    for (let first = 0; first < this.storage.length; first += PER_FRAME) {
      l1s.push(this.#table(take(false), (slot) => this.storage[first + slot] ?? ones));
    }
    const l2 = this.#table(take(false), (slot) => l1s[slot] ?? onesL1);
    this.l3 = this.#table(take(false), (slot) => (slot === 0 ? l2 : slot < L3_SLOTS ? onesL2 : 0));
  }

  #table(mfn: number, target: (slot: number) => number): number {
    const base = mfn * (PAGE_SIZE / 4);
    for (let slot = 0; slot < PER_FRAME; slot++) {
      const to = target(slot);
      if (to === 0) continue;
      this.#machine.u32[base + slot * 2] = to * PAGE_SIZE + READ_ONLY;
      this.#machine.u32[base + slot * 2 + 1] = NX_HIGH;
    }
    return mfn;
  }

  /** The two halves of the L4 entry that a PV guest sees in slot 256. */
  get l4Entry(): { lo: number; hi: number } {
    return { lo: this.l3 * PAGE_SIZE + READ_ONLY, hi: NX_HIGH };
  }

  #index(mfn: number): number {
    return (this.storage[mfn >>> 9] * PAGE_SIZE + (mfn & (PER_FRAME - 1)) * 8) / 4;
  }

  /** The entry of a frame of this machine: low and high half may be any value that the guest set. */
  get(mfn: number): bigint {
    const index = this.#index(mfn);
    return (BigInt(this.#machine.u32[index + 1]) << 32n) | BigInt(this.#machine.u32[index]);
  }

  set(mfn: number, lo: number, hi: number): void {
    const index = this.#index(mfn);
    this.#machine.u32[index] = lo;
    this.#machine.u32[index + 1] = hi;
  }

  /** INVALID_M2P_ENTRY: the frame has no pfn. */
  clear(mfn: number): void {
    this.set(mfn, 0xffff_ffff, 0xffff_ffff);
  }
}
