import type { BlockDevice } from './block-device.js';

const CHUNK = 1 << 16;

/** A disk in memory. It takes only the memory of what was written: the rest is zeros. */
export class MemoryDevice implements BlockDevice {
  readonly readonly = false;
  private readonly chunks = new Map<number, Uint8Array>();

  /** @param size bytes, a multiple of 512 */
  constructor(private bytes: number) {
    if (!(bytes >= 0 && bytes % 512 === 0))
      throw new RangeError(`A disk of ${bytes} bytes has no whole sectors.`);
  }

  /** A disk that begins with these contents, rounded up to whole sectors. */
  static of(contents: Uint8Array): MemoryDevice {
    const device = new MemoryDevice(Math.ceil(contents.length / 512) * 512);
    device.write(0, contents);
    return device;
  }

  get size(): number {
    return this.bytes;
  }

  /** Bytes of memory that the contents take. */
  get allocated(): number {
    return this.chunks.size * CHUNK;
  }

  read(offset: number, length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (const { chunk, from, at, piece } of pieces(offset, length)) {
      const bytes = this.chunks.get(chunk);
      if (bytes) out.set(bytes.subarray(from, from + piece), at);
    }
    return out;
  }

  write(offset: number, data: Uint8Array): void {
    for (const { chunk, from, at, piece } of pieces(offset, data.length)) {
      const bytes = this.chunks.get(chunk) ?? new Uint8Array(CHUNK);
      this.chunks.set(chunk, bytes);
      bytes.set(data.subarray(at, at + piece), from);
    }
  }

  flush(): void {}

  discard(offset: number, length: number): void {
    const first = Math.ceil(offset / CHUNK);
    const end = Math.floor((offset + length) / CHUNK);
    if (first > end) {
      this.clear(offset, length);
      return;
    }
    this.clear(offset, first * CHUNK - offset);
    this.clear(end * CHUNK, offset + length - end * CHUNK);
    // A disk may have many more chunks than were written.
    if (end - first > this.chunks.size) {
      for (const chunk of this.chunks.keys()) if (chunk >= first && chunk < end) this.chunks.delete(chunk);
    } else for (let chunk = first; chunk < end; chunk++) this.chunks.delete(chunk);
  }

  /** Makes it larger, or smaller. What is cut off is lost. */
  resize(bytes: number): void {
    if (bytes < this.bytes) this.discard(bytes, this.bytes - bytes);
    this.bytes = bytes;
  }

  /** Parts of chunks. */
  private clear(offset: number, length: number): void {
    for (const { chunk, from, piece } of pieces(offset, length))
      this.chunks.get(chunk)?.fill(0, from, from + piece);
  }
}

/** The pieces of a range, chunk by chunk: `from` in the chunk, `at` in the range. */
function* pieces(offset: number, length: number) {
  for (let at = 0; at < length; ) {
    const chunk = Math.floor((offset + at) / CHUNK);
    const from = (offset + at) % CHUNK;
    const piece = Math.min(length - at, CHUNK - from);
    yield { chunk, from, at, piece };
    at += piece;
  }
}
