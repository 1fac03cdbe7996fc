/**
 * A shared page as one end of a ring reaches it: a plain view, or a granted page behind checks. Offsets are bytes from
 * the start of the ring; integers are little-endian. `read` returns a copy, so that the other end cannot change what
 * has been read.
 */
export interface RingMemory {
  readU32(offset: number): number;
  writeU32(offset: number, value: number): void;
  read(offset: number, length: number): Uint8Array;
  write(offset: number, data: Uint8Array): void;
}

/** Ring memory on a view, for tests, packet tools and guests that own the page. */
export function viewMemory(view: DataView): RingMemory {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  return {
    readU32: (offset) => view.getUint32(offset, true),
    writeU32: (offset, value) => view.setUint32(offset, value, true),
    read: (offset, length) => bytes.slice(offset, offset + length),
    write: (offset, data) => bytes.set(data, offset),
  };
}
