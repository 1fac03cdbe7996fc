import { BadInputError } from '@xenolith/host-interface';
import { isElf } from '../elf/elf.js';
import { hex } from '../reader.js';
import { type BzImage, isBzImage, parseBzImage } from './bzimage.js';
import { type Compression, detectCompression, unpackGzip, unpackPayload } from './compression.js';
import { contentKey } from './content-key.js';

/** Keeps unpacked kernels between runs. The bytes that it is given are not changed later; those that it gives neither. */
export interface KernelCache {
  get(key: string): Uint8Array | undefined;
  put(key: string, image: Uint8Array): void;
}

export interface UnpackOptions {
  readonly cache?: KernelCache;
  /** Largest unpacked size to accept, in bytes; 512 MiB unless set. */
  readonly limit?: number;
}

export interface UnpackedKernel {
  /** The ELF file. For an image that was not packed, a view of the input. */
  readonly image: Uint8Array;
  readonly container: 'ELF' | 'bzImage';
  readonly compression: Compression;
  readonly bzImage?: BzImage;
  readonly fromCache: boolean;
}

const DEFAULT_LIMIT = 512 << 20;
/** Changes when a cached image of the same key would have other contents. */
const CACHE_VERSION = 'v1';

/**
 * Finds the ELF image in a kernel file: an ELF file, a bzImage (payload plain, gzip, xz with or without the x86 filter,
 * zstd, lz4 legacy frame), or either of them in a gzip file.
 * @throws BadInputError, NotImplementedError (bzip2, LZMA and LZO payloads)
 */
export function unpackKernel(bytes: Uint8Array, options: UnpackOptions = {}): UnpackedKernel {
  const { cache, limit = DEFAULT_LIMIT } = options;
  if (isElf(bytes)) return { image: bytes, container: 'ELF', compression: 'none', fromCache: false };
  if (isBzImage(bytes)) {
    const bzImage = parseBzImage(bytes);
    const payload = bytes.subarray(bzImage.payloadOffset, bzImage.payloadOffset + bzImage.payloadLength);
    const compression = detectCompression(payload);
    if (compression === undefined) {
      const start = [...payload.subarray(0, 6)].map((b) => b.toString(16).padStart(2, '0')).join(' ');
      throw new BadInputError(
        `The kernel bzImage's payload at offset ${hex(bzImage.payloadOffset)} is packed in an unknown way: it starts with ${start}.`,
      );
    }
    const unpack = (): Uint8Array => unpackPayload(payload, compression, limit);
    return {
      container: 'bzImage',
      compression,
      bzImage,
      ...cached(bytes, compression === 'none' ? undefined : cache, unpack),
    };
  }
  const compression = detectCompression(bytes);
  if (compression !== 'gzip') throw new BadInputError(unknownFormat(bytes, compression));
  const found = cache?.get(keyOf(bytes));
  if (found !== undefined && isElf(found))
    return { image: found, container: 'ELF', compression, fromCache: true };
  const inner = unpackGzip(bytes, limit, 'gzip file of the kernel');
  if (detectCompression(inner) === 'gzip')
    throw new BadInputError('The gzip file of the kernel holds another gzip file.');
  if (!isElf(inner)) return unpackKernel(inner, options);
  cache?.put(keyOf(bytes), inner);
  return { image: inner, container: 'ELF', compression, fromCache: false };
}

const keyOf = (bytes: Uint8Array): string => `${CACHE_VERSION}-${contentKey(bytes)}`;

function cached(
  bytes: Uint8Array,
  cache: KernelCache | undefined,
  unpack: () => Uint8Array,
): { image: Uint8Array; fromCache: boolean } {
  if (cache === undefined) return { image: unpack(), fromCache: false };
  const key = keyOf(bytes);
  const found = cache.get(key);
  if (found !== undefined && isElf(found)) return { image: found, fromCache: true };
  const image = unpack();
  cache.put(key, image);
  return { image, fromCache: false };
}

function unknownFormat(bytes: Uint8Array, compression: Compression | undefined): string {
  if (bytes.length === 0) return 'The kernel file is empty.';
  if (compression !== undefined) {
    return `The kernel file is packed with ${compression}: unpack it first (only gzip files and bzImages are unpacked here).`;
  }
  const start = [...bytes.subarray(0, 4)].map((b) => b.toString(16).padStart(2, '0')).join(' ');
  return (
    `The kernel file is neither an ELF image nor a bzImage: it starts with ${start}` +
    `${bytes.length > 0x206 ? ' and has no "HdrS" at offset 0x202' : ` and has only ${bytes.length} bytes`}.`
  );
}
