import { PAGE_SIZE } from './constants.js';
import type { GrantMemory } from './grant-memory.js';

/** Machine memory as accessors of one page need it. */
export type PageMemory = Pick<GrantMemory, 'bytes' | 'wrote'>;

/**
 * One page as a domain without page tables reaches it: reads are copies, so what has been read cannot change any more;
 * offsets are bytes within the page (RangeError outside); integers are little-endian.
 */
export class PageAccess {
  constructor(
    private readonly memory: PageMemory,
    private readonly view: DataView,
    readonly mfn: number,
  ) {}

  /** Throws if the page may not be read, or with `write` not be written, now. */
  protected check(_write: boolean): void {}

  read(offset: number, length: number): Uint8Array {
    const at = this.at(offset, length, false);
    return this.memory.bytes.slice(at, at + length);
  }

  readInto(offset: number, to: Uint8Array): void {
    const at = this.at(offset, to.length, false);
    to.set(this.memory.bytes.subarray(at, at + to.length));
  }

  write(offset: number, data: Uint8Array): void {
    this.memory.bytes.set(data, this.at(offset, data.length, true));
    this.memory.wrote?.(this.mfn, offset, data.length);
  }

  readU8(offset: number): number {
    return this.view.getUint8(this.at(offset, 1, false));
  }

  readU16(offset: number): number {
    return this.view.getUint16(this.at(offset, 2, false), true);
  }

  readU32(offset: number): number {
    return this.view.getUint32(this.at(offset, 4, false), true);
  }

  writeU8(offset: number, value: number): void {
    this.view.setUint8(this.at(offset, 1, true), value);
    this.memory.wrote?.(this.mfn, offset, 1);
  }

  writeU16(offset: number, value: number): void {
    this.view.setUint16(this.at(offset, 2, true), value, true);
    this.memory.wrote?.(this.mfn, offset, 2);
  }

  writeU32(offset: number, value: number): void {
    this.view.setUint32(this.at(offset, 4, true), value, true);
    this.memory.wrote?.(this.mfn, offset, 4);
  }

  private at(offset: number, length: number, write: boolean): number {
    this.check(write);
    if (!(offset >= 0 && length >= 0 && offset + length <= PAGE_SIZE)) {
      throw new RangeError(`Bytes ${offset} to ${offset + length} are outside of a page.`);
    }
    return this.mfn * PAGE_SIZE + offset;
  }
}
