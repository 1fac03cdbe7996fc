import { BadInputError } from '@xenolith/host-interface';
import { hex, ImageReader, startsWith } from '../reader.js';

export const LZ4_LEGACY_MAGIC = [0x02, 0x21, 0x4c, 0x18] as const;
/** Each block of the legacy frame unpacks to 8 MiB, the last one to what is left. */
const BLOCK_SIZE = 8 << 20;

/**
 * Unpacks an LZ4 legacy frame ("LZ4 Frame Format", legacy frame), as Linux packs its kernels: a magic number, then blocks
 * that each start with their packed size.
 * @param size exact number of unpacked bytes
 * @throws BadInputError for damaged data
 */
export function unpackLz4Legacy(packed: Uint8Array, size: number): Uint8Array {
  const reader = new ImageReader(packed, "kernel's lz4 payload");
  if (!startsWith(packed, LZ4_LEGACY_MAGIC))
    throw new BadInputError(`The ${reader.name} does not start with 02 21 4c 18.`);
  const output = new Uint8Array(size);
  let at = 4;
  let out = 0;
  while (out < size) {
    // Concatenated frames: the magic number may come again.
    if (startsWith(packed, LZ4_LEGACY_MAGIC, at)) at += 4;
    const length = reader.u32(at, "a block's size");
    at += 4;
    reader.need(at, length, 'an lz4 block');
    if (length === 0) break;
    const end = unpackBlock(packed, at, at + length, output, out, Math.min(size, out + BLOCK_SIZE));
    if (end === out) break;
    out = end;
    at += length;
  }
  if (out !== size)
    throw new BadInputError(
      `The ${reader.name} unpacks to ${hex(out)} bytes, but ${hex(size)} are declared.`,
    );
  return output;
}

/** One block ("LZ4 Block Format"): input [at, end) to output [out, limit). @returns the end of the output */
function unpackBlock(
  input: Uint8Array,
  at: number,
  end: number,
  output: Uint8Array,
  out: number,
  limit: number,
): number {
  const start = out;
  const damaged = (why: string): BadInputError =>
    new BadInputError(`The kernel's lz4 payload is damaged at offset ${hex(at)}: ${why}.`);
  while (at < end) {
    const token = input[at++]!;
    let literals = token >>> 4;
    if (literals === 15) {
      let byte: number;
      do {
        if (at >= end) throw damaged('a block ends within a length');
        byte = input[at++]!;
        literals += byte;
      } while (byte === 255);
    }
    if (at + literals > end) throw damaged('literals reach beyond their block');
    if (out + literals > limit) throw damaged('it holds more than is declared');
    if (literals > 32) {
      output.set(input.subarray(at, at + literals), out);
      at += literals;
      out += literals;
    } else for (const stop = at + literals; at < stop; ) output[out++] = input[at++]!;
    if (at === end) break;
    if (at + 2 > end) throw damaged('a block ends within a distance');
    const distance = input[at]! | (input[at + 1]! << 8);
    at += 2;
    let length = (token & 15) + 4;
    if (length === 19) {
      let byte: number;
      do {
        if (at >= end) throw damaged('a block ends within a length');
        byte = input[at++]!;
        length += byte;
      } while (byte === 255);
    }
    if (distance === 0 || distance > out - start) throw damaged('a match reaches before its block');
    if (out + length > limit) throw damaged('it holds more than is declared');
    if (length > 64 && distance >= length) {
      output.copyWithin(out, out - distance, out - distance + length);
      out += length;
    } else for (let from = out - distance, stop = out + length; out < stop; ) output[out++] = output[from++]!;
  }
  return out;
}
