import type { BlockDevice } from '../devices/block-device.js';

/** Bytes that cannot be compressed. */
export const noise = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (Math.imul(i + seed, 2654435761) >>> 24) & 0xff);

/** A read-only device that notes what it is asked for, and insists that callers keep the contract of `BlockDevice`. */
export class WatchedDevice implements BlockDevice {
  readonly readonly = true;
  readonly reads: { offset: number; length: number }[] = [];

  constructor(private readonly bytes: Uint8Array) {}

  get size(): number {
    return this.bytes.length;
  }

  read(offset: number, length: number): Uint8Array {
    if (
      offset % 512 !== 0 ||
      length % 512 !== 0 ||
      !(length > 0) ||
      !(offset >= 0 && offset + length <= this.size)
    ) {
      throw new Error(`a read of ${length} bytes at ${offset} of ${this.size}`);
    }
    this.reads.push({ offset, length });
    return this.bytes.slice(offset, offset + length);
  }

  write(): never {
    throw new Error('a write');
  }

  flush(): void {}
}
