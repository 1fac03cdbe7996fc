/**
 * Shared memory as a guest without page tables reaches it. Offsets are bytes within the page (RangeError outside);
 * integers are little-endian; `read` returns a copy, so what has been read cannot change any more.
 */
export interface SharedMemory {
  read(offset: number, length: number): Uint8Array;
  /** Fills `to` with a copy of as many bytes. */
  readInto(offset: number, to: Uint8Array): void;
  write(offset: number, data: Uint8Array): void;
  readU8(offset: number): number;
  writeU8(offset: number, value: number): void;
  readU16(offset: number): number;
  writeU16(offset: number, value: number): void;
  readU32(offset: number): number;
  writeU32(offset: number, value: number): void;
}

/** A page of the guest's own memory. */
export interface OwnPage extends SharedMemory {
  /** Its number in the guest's memory. */
  readonly gfn: number;
}

/** Memory of the guest's own, in pages of 4 KiB. */
export interface Memory {
  /** @returns a page of zeros, or undefined when the machine has none left */
  allocate(): OwnPage | undefined;
  /** Gives a page back. Its grants are to be ended before. */
  free(page: OwnPage): void;
}
