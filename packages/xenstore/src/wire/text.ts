/**
 * The protocol's strings are bytes. Inside this package they are strings with one char code per byte, so that lengths
 * and comparisons are those of the wire.
 */
export function fromBytes(bytes: Uint8Array): string {
  let text = '';
  // In pieces: a spread of 4096 arguments is fine, of a megabyte is not.
  for (let at = 0; at < bytes.length; at += 4096) {
    text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  }
  return text;
}

/** The inverse of `fromBytes`; char codes are taken modulo 256. */
export function toBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** The strings that are ended by a NUL; what comes after the last NUL is not among them. */
export function nulTerminated(text: string): string[] {
  const parts = text.split('\0');
  parts.pop();
  return parts;
}

/** C's `atoi`, as xenstored reads its numbers: leading digits, 0 if there are none. */
export function atoi(text: string): number {
  return Number(/^\s*([-+]?\d+)/.exec(text)?.[1] ?? 0) | 0;
}
