import { BadInputError } from '@xenolith/host-interface';
import { unpackGzip } from '../unpack/compression.js';

/** Xen's tools look at the length that a gzip file gives and do not believe more than this. */
const LARGEST = 1 << 30;

/** A ramdisk as it will be placed: `size` bytes, zero after the contents. */
export interface PlacedRamdisk {
  readonly size: number;
  /** May take long: unpacks. */
  contents(): Uint8Array;
}

/**
 * As Xen's tools do it, a ramdisk in a gzip file is unpacked (with 16 bytes to spare), so that the guest need not; one
 * that cannot be, because it has several members for example, is passed as it is.
 */
export function placeRamdisk(bytes: Uint8Array): PlacedRamdisk {
  if (bytes.length === 0) throw new BadInputError('The ramdisk is empty.');
  const packed = bytes.length >= 18 && bytes[0] === 0x1f && bytes[1] === 0x8b;
  if (!packed) return { size: bytes.length, contents: () => bytes };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const unpacked = view.getUint32(bytes.length - 4, true);
  if (unpacked === 0 || unpacked > LARGEST) return { size: bytes.length, contents: () => bytes };
  return {
    size: Math.max(unpacked + 16, bytes.length),
    contents: () => {
      try {
        return unpackGzip(bytes, LARGEST, 'ramdisk');
      } catch (error) {
        if (error instanceof BadInputError) return bytes;
        throw error;
      }
    },
  };
}
