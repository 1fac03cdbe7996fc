/**
 * Shared memory as a guest without page tables reaches it. Offsets are bytes within the page (RangeError outside);
 * integers are little-endian; `read` returns a copy, so what has been read cannot change any more.
 */
export interface SharedMemory {
  read(offset: number, length: number): Uint8Array;
  write(offset: number, data: Uint8Array): void;
  readU8(offset: number): number;
  writeU8(offset: number, value: number): void;
  readU16(offset: number): number;
  writeU16(offset: number, value: number): void;
  readU32(offset: number): number;
  writeU32(offset: number, value: number): void;
}
