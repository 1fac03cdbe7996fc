import { BadInputError } from '@xenolith/host-interface';
import { FRAME, FRAME_ENTRY_SIZE, FRAME_TABLE, PAGE_SHIFT, PAGE_SIZE } from './layout.js';

/** WebAssembly's 4 GiB less one page, so that every machine address and every end of a range is a u32. */
const MAX_FRAMES = 0xf_fff0;

/**
 * All of the machine's memory, in one WebAssembly memory that is reserved once and never grows, so that views stay valid.
 * Frames below `firstFrame` are the engine's own.
 */
export class MachineMemory {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly u32: Uint32Array;
  /** Number of frames, the engine's included: valid machine frame numbers are 0 … frames − 1. */
  readonly frames: number;
  /** First frame that a domain may own. */
  readonly firstFrame: number;

  /** @param guestFrames frames for domains, 1 … about 900,000 (3.5 GiB) */
  constructor(guestFrames: number) {
    const engine = FRAME_TABLE / PAGE_SIZE;
    // The table describes its own frames too, hence the division.
    const table = Math.ceil(((engine + guestFrames) * FRAME_ENTRY_SIZE) / (PAGE_SIZE - FRAME_ENTRY_SIZE));
    this.firstFrame = engine + table;
    this.frames = Math.ceil((this.firstFrame + guestFrames) / 16) * 16;
    if (!Number.isInteger(guestFrames) || guestFrames < 1 || this.frames > MAX_FRAMES) {
      throw new BadInputError(
        `A machine of ${guestFrames} frames is not possible: ask for 1 to ${MAX_FRAMES - this.firstFrame + guestFrames} frames of 4 KiB.`,
      );
    }
    const pages = this.frames / 16;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const buffer = this.memory.buffer;
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.u32 = new Uint32Array(buffer);
  }

  /** Byte address of a frame's entry in the frame table. */
  entry(mfn: number): number {
    return FRAME_TABLE + mfn * FRAME_ENTRY_SIZE;
  }

  owner(mfn: number): number {
    return this.view.getUint16(this.entry(mfn) + FRAME.owner, true);
  }

  /** The frame's bytes. */
  frame(mfn: number): Uint8Array {
    const start = mfn * PAGE_SIZE;
    return this.bytes.subarray(start, start + PAGE_SIZE);
  }

  isValidFrame(mfn: number): boolean {
    return mfn >= this.firstFrame && mfn < this.frames;
  }
}

export const frameAddress = (mfn: number): number => mfn * (1 << PAGE_SHIFT);
