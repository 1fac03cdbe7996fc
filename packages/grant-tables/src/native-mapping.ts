import { PAGE_SIZE } from './constants.js';
import type { GrantMemory } from './grant-memory.js';

/** A use of a mapping that is gone: the backend kept it too long, or the granter died. Backends expect and catch it. */
export class GrantRevokedError extends Error {
  override name = 'GrantRevokedError';
}

/**
 * A granted page as a domain without page tables reaches it. JavaScript cannot take a view back, so every access asks
 * whether the mapping still stands, and what is read is a copy.
 */
export class NativeMapping {
  private alive = true;

  constructor(
    private readonly memory: GrantMemory,
    private readonly view: DataView,
    readonly granter: number,
    readonly ref: number,
    /** The mapping's handle in the native domain. */
    readonly handle: number,
    readonly mfn: number,
    readonly readonly: boolean,
  ) {}

  /** False after unmapping and after the granter's death. */
  get live(): boolean {
    return this.alive;
  }

  /** For the grant tables only: ends the mapping. */
  revoke(): void {
    this.alive = false;
  }

  /** A copy of `length` bytes from `offset` on; the range must lie in the page (RangeError). */
  read(offset: number, length: number): Uint8Array {
    const at = this.at(offset, length);
    return this.memory.bytes.slice(at, at + length);
  }

  write(offset: number, data: Uint8Array): void {
    const at = this.writable(offset, data.length);
    this.memory.bytes.set(data, at);
    this.memory.wrote?.(this.mfn, offset, data.length);
  }

  readU8(offset: number): number {
    return this.view.getUint8(this.at(offset, 1));
  }

  readU16(offset: number): number {
    return this.view.getUint16(this.at(offset, 2), true);
  }

  readU32(offset: number): number {
    return this.view.getUint32(this.at(offset, 4), true);
  }

  writeU8(offset: number, value: number): void {
    this.view.setUint8(this.writable(offset, 1), value);
    this.memory.wrote?.(this.mfn, offset, 1);
  }

  writeU16(offset: number, value: number): void {
    this.view.setUint16(this.writable(offset, 2), value, true);
    this.memory.wrote?.(this.mfn, offset, 2);
  }

  writeU32(offset: number, value: number): void {
    this.view.setUint32(this.writable(offset, 4), value, true);
    this.memory.wrote?.(this.mfn, offset, 4);
  }

  private writable(offset: number, length: number): number {
    if (this.readonly) {
      throw new RangeError(`Grant ${this.ref} of domain ${this.granter} is mapped read-only.`);
    }
    return this.at(offset, length);
  }

  private at(offset: number, length: number): number {
    if (!this.alive) {
      throw new GrantRevokedError(`Grant ${this.ref} of domain ${this.granter} is not mapped any more.`);
    }
    if (!(offset >= 0 && length >= 0 && offset + length <= PAGE_SIZE)) {
      throw new RangeError(`Bytes ${offset} to ${offset + length} are outside of a granted page.`);
    }
    return this.mfn * PAGE_SIZE + offset;
  }
}
