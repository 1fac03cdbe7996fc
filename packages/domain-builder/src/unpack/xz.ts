import { BadInputError, NotImplementedError } from '@xenolith/host-interface';
import { hex, ImageReader, startsWith } from '../reader.js';
import { undoBcjX86 } from './bcj-x86.js';
import { crc32 } from './crc32.js';
import { Lzma2Decoder } from './lzma2.js';

export const XZ_MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] as const;
const FILTER_X86 = 0x04;
const FILTER_LZMA2 = 0x21;
const CHECK_SIZES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const CHECK_CRC32 = 1;

/**
 * Unpacks one .xz stream (".xz file format" 1.2) with LZMA2 and, if the stream uses it, the x86 branch filter, as Linux
 * packs its kernels. CRC-32 checks are verified; other kinds of checks are skipped.
 * @param size exact number of unpacked bytes
 * @throws BadInputError for damaged data, NotImplementedError for another filter
 */
export function unpackXz(packed: Uint8Array, size: number): Uint8Array {
  const reader = new ImageReader(packed, "kernel's xz payload");
  reader.need(0, 12, 'the xz stream header');
  if (!startsWith(packed, XZ_MAGIC))
    throw new BadInputError("The kernel's xz payload does not start with fd 37 7a 58 5a 00.");
  if (
    reader.u32(8, 'the stream header') !== crc32(packed.subarray(6, 8)) ||
    packed[6] !== 0 ||
    packed[7]! > 15
  ) {
    throw new BadInputError("The kernel's xz payload has a damaged stream header at offset 0x6.");
  }
  const check = packed[7]!;
  const output = new Uint8Array(size);
  const decoder = new Lzma2Decoder(packed, output);
  let at = 12;
  let out = 0;
  while (reader.u8(at, 'an xz block header') !== 0) {
    const header = blockHeader(reader, at);
    decoder.decode(header.dataAt, out);
    const block = output.subarray(out, decoder.outputEnd);
    if (header.x86) undoBcjX86(block);
    const checkAt = Math.ceil(decoder.inputEnd / 4) * 4;
    reader.need(checkAt, CHECK_SIZES[check]!, "a block's check");
    if (check === CHECK_CRC32 && reader.u32(checkAt, "a block's check") !== crc32(block)) {
      throw new BadInputError(
        `The kernel's xz payload is damaged: the checksum at offset ${hex(checkAt)} does not match.`,
      );
    }
    at = checkAt + CHECK_SIZES[check]!;
    out = decoder.outputEnd;
  }
  if (out !== size) {
    throw new BadInputError(
      `The kernel's xz payload unpacks to ${hex(out)} bytes, but ${hex(size)} are declared.`,
    );
  }
  return output;
}

function blockHeader(reader: ImageReader, at: number): { dataAt: number; x86: boolean } {
  const length = (reader.u8(at, 'a block header') + 1) * 4;
  const header = new ImageReader(reader.slice(at, length, 'a block header'), reader.name);
  if (header.u32(length - 4, 'a block header') !== crc32(header.bytes.subarray(0, length - 4))) {
    throw new BadInputError(`The ${reader.name} has a damaged block header at offset ${hex(at)}.`);
  }
  const flags = header.u8(1, 'a block header');
  const position = { at: 2 };
  // Compressed and uncompressed size, if given: the data has its own end, so neither is needed.
  if (flags & 0x40) multibyte(header, position);
  if (flags & 0x80) multibyte(header, position);
  const filters: number[] = [];
  for (let i = 0; i <= (flags & 3); i++) {
    const id = multibyte(header, position);
    const properties = multibyte(header, position);
    header.need(position.at, properties, 'filter properties');
    filters.push(id);
    position.at += properties;
    if (id === FILTER_X86 && properties !== 0) {
      throw new NotImplementedError(
        'The xz payload starts its x86 filter at an offset: only offset 0 is possible.',
      );
    }
  }
  const names = filters.map((id) => hex(id)).join(', ');
  const x86 = filters.length === 2 && filters[0] === FILTER_X86;
  if (filters.at(-1) !== FILTER_LZMA2 || !(x86 || filters.length === 1)) {
    throw new NotImplementedError(
      `The xz payload uses filters ${names}: LZMA2 (0x21), alone or after x86 (0x4), is possible.`,
    );
  }
  return { dataAt: at + length, x86 };
}

function multibyte(header: ImageReader, position: { at: number }): number {
  let value = 0;
  for (let i = 0; i < 9; i++) {
    const byte = header.u8(position.at++, 'a number in a block header');
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return value;
  }
  throw new BadInputError(`The ${header.name} has an endless number in a block header.`);
}
