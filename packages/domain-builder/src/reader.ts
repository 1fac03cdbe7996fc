import { BadInputError } from '@xenolith/host-interface';

/** A hexadecimal number as people write addresses and offsets: `0x1f8`. */
export const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

/** A text out of an image, fit for a terminal and for one line: no control characters, at most 200 characters. */
export function printable(text: string): string {
  const shown = [...text.slice(0, 200)].map((c) =>
    /[\x20-\x7e\xa0-\xff]/.test(c) ? c : `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return shown.join('') + (text.length > 200 ? '…' : '');
}

/** Bounds-checked little-endian reads from an untrusted image; each error names what was read and where. */
export class ImageReader {
  readonly view: DataView;

  /** @param name what the image is called in messages, for example `kernel image` */
  constructor(
    readonly bytes: Uint8Array,
    readonly name: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get size(): number {
    return this.bytes.length;
  }

  /** True where [offset, offset + length) lies in the image. */
  has(offset: number, length: number): boolean {
    return offset >= 0 && length >= 0 && offset + length <= this.bytes.length;
  }

  /** @throws BadInputError unless [offset, offset + length) lies in the image */
  need(offset: number, length: number, what: string): void {
    if (this.has(offset, length)) return;
    throw new BadInputError(
      `The ${this.name} is truncated or damaged: ${what} should be at bytes ${hex(offset)} to ${hex(offset + length)}, ` +
        `but there are only ${hex(this.bytes.length)} bytes.`,
    );
  }

  u8(offset: number, what: string): number {
    this.need(offset, 1, what);
    return this.bytes[offset]!;
  }

  u16(offset: number, what: string): number {
    this.need(offset, 2, what);
    return this.view.getUint16(offset, true);
  }

  u32(offset: number, what: string): number {
    this.need(offset, 4, what);
    return this.view.getUint32(offset, true);
  }

  u64(offset: number, what: string): bigint {
    this.need(offset, 8, what);
    return this.view.getBigUint64(offset, true);
  }

  /** A u64 that is an offset or a size in the image: anything beyond 2^53 is rounded, and out of every range. */
  size64(offset: number, what: string): number {
    return Number(this.u64(offset, what));
  }

  slice(offset: number, length: number, what: string): Uint8Array {
    this.need(offset, length, what);
    return this.bytes.subarray(offset, offset + length);
  }

  /** The bytes up to (not with) a NUL or `end`, as Latin-1. */
  string(offset: number, end: number): string {
    let text = '';
    const stop = Math.min(end, this.bytes.length);
    for (let i = offset; i < stop && this.bytes[i] !== 0; i++) text += String.fromCharCode(this.bytes[i]!);
    return text;
  }
}

/** True where `bytes` has `magic` at `offset`. */
export function startsWith(bytes: Uint8Array, magic: readonly number[], offset = 0): boolean {
  return magic.every((byte, i) => bytes[offset + i] === byte);
}
