import { BadInputError, NotImplementedError } from '@xenolith/host-interface';
import { gunzipSync } from 'fflate';
import { Decompress as ZstdStream } from 'fzstd';
import { ELF_MAGIC } from '../elf/elf.js';
import { hex, ImageReader, startsWith } from '../reader.js';
import { crc32 } from './crc32.js';
import { LZ4_LEGACY_MAGIC, unpackLz4Legacy } from './lz4-legacy.js';
import { unpackXz, XZ_MAGIC } from './xz.js';

/** How a payload is packed; `none` is an ELF image as it is. */
export type Compression = 'none' | 'gzip' | 'xz' | 'zstd' | 'lz4' | 'bzip2' | 'lzma' | 'lzo';

const MAGICS: readonly (readonly [Compression, readonly number[]])[] = [
  ['none', ELF_MAGIC],
  ['gzip', [0x1f, 0x8b]],
  ['xz', XZ_MAGIC],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['lz4', LZ4_LEGACY_MAGIC],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['lzma', [0x5d, 0x00]],
  ['lzo', [0x89, 0x4c, 0x5a, 0x4f]],
];

/** @returns undefined if the bytes start like nothing known */
export function detectCompression(bytes: Uint8Array): Compression | undefined {
  return MAGICS.find(([, magic]) => startsWith(bytes, magic))?.[0];
}

/**
 * Unpacks a bzImage's payload (Documentation/arch/x86/boot.rst, payload_offset). All formats but gzip, which has its own,
 * are followed by the unpacked length as a u32.
 * @param limit largest unpacked size to accept
 * @throws BadInputError for damaged or too large data, NotImplementedError for bzip2, LZMA and LZO
 */
export function unpackPayload(payload: Uint8Array, compression: Compression, limit: number): Uint8Array {
  if (compression === 'none') return payload;
  if (compression === 'gzip') return unpackGzip(payload, limit, "kernel's gzip payload");
  if (compression === 'bzip2' || compression === 'lzma' || compression === 'lzo') {
    throw new NotImplementedError(
      `The kernel is packed with ${compression}, which is not supported (gzip, xz, zstd and lz4 are): ` +
        'extract its vmlinux (scripts/extract-vmlinux of Linux) and give that instead.',
    );
  }
  const reader = new ImageReader(payload, `kernel's ${compression} payload`);
  const size = reader.u32(payload.length - 4, 'the unpacked length at its end');
  checkSize(size, limit, reader.name);
  if (size === 0) throw new BadInputError(`The ${reader.name} declares that it unpacks to nothing.`);
  const packed = payload.subarray(0, payload.length - 4);
  if (compression === 'xz') return unpackXz(packed, size);
  if (compression === 'lz4') return unpackLz4Legacy(packed, size);
  return guarded(reader.name, size, () => unpackZstd(packed, size));
}

/**
 * Unpacks a gzip file (RFC 1952) and verifies its length and checksum.
 * @param name what it is called in messages
 * @throws BadInputError for damaged data, and for files of several members
 */
export function unpackGzip(packed: Uint8Array, limit: number, name: string): Uint8Array {
  const reader = new ImageReader(packed, name);
  reader.need(0, 18, 'a gzip header and trailer');
  const size = reader.u32(packed.length - 4, 'the gzip trailer');
  checkSize(size, limit, name);
  const output = guarded(name, size, () => gunzipSync(packed, { out: new Uint8Array(size) }));
  if (crc32(output) !== reader.u32(packed.length - 8, 'the gzip trailer')) {
    throw new BadInputError(`The ${name} is damaged: its checksum does not match.`);
  }
  return output;
}

/** Block by block, so that data that unpacks to more than was declared is noticed at once. */
function unpackZstd(packed: Uint8Array, size: number): Uint8Array {
  const output = new Uint8Array(size);
  let at = 0;
  const stream = new ZstdStream((block) => {
    if (at + block.length > size) throw new Error(`it unpacks to more than the declared ${hex(size)} bytes`);
    output.set(block, at);
    at += block.length;
  });
  stream.push(packed, true);
  return output.subarray(0, at);
}

function checkSize(size: number, limit: number, name: string): void {
  if (size <= limit) return;
  throw new BadInputError(
    `The ${name} claims to unpack to ${hex(size)} bytes, more than the limit of ${hex(limit)}.`,
  );
}

/** The libraries throw errors of their own kinds. */
function guarded(name: string, size: number, unpack: () => Uint8Array): Uint8Array {
  let output: Uint8Array;
  try {
    output = unpack();
  } catch (error) {
    throw new BadInputError(
      `The ${name} is damaged: ${error instanceof Error ? error.message : String(error)}.`,
    );
  }
  if (output.length !== size) {
    throw new BadInputError(
      `The ${name} unpacks to ${hex(output.length)} bytes, but ${hex(size)} are declared.`,
    );
  }
  return output;
}
