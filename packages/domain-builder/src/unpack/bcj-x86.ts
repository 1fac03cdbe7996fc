/** May the branch be converted, by which of the three bytes before it look like branches too? */
const ALLOWED = [true, true, true, false, true, false, false, false] as const;
/** Which byte of the operand belongs to the one branch before. */
const BYTE_OF_MASK = [0, 1, 2, 2, 3, 3, 3, 3] as const;

/** The upper byte of a plausible 32-bit branch distance. */
const isSignByte = (byte: number): boolean => byte === 0x00 || byte === 0xff;

/**
 * Undoes the x86 branch filter of .xz (filter id 4) in place: absolute targets of E8/E9 become relative again.
 * @param bytes the whole stream of one block, whose first byte is at position 0
 */
export function undoBcjX86(bytes: Uint8Array): void {
  const last = bytes.length - 5;
  let previousAt = -5;
  let mask = 0;
  for (let at = 0; at <= last; at++) {
    if ((bytes[at]! & 0xfe) !== 0xe8) continue;
    const gap = at - previousAt;
    previousAt = at;
    if (gap > 5) mask = 0;
    else for (let i = 0; i < gap; i++) mask = (mask & 0x77) << 1;
    const sign = bytes[at + 4]!;
    if (!isSignByte(sign) || !ALLOWED[(mask >>> 1) & 7] || mask >>> 1 >= 0x10) {
      mask |= isSignByte(sign) ? 0x11 : 1;
      continue;
    }
    const source = (sign << 24) | (bytes[at + 3]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 1]!;
    let target = (source - (at + 5)) | 0;
    if (mask !== 0) {
      // A branch that starts before this one was left alone because of a byte in our operand: keep that byte such.
      const shift = 8 * BYTE_OF_MASK[mask >>> 1]!;
      if (isSignByte((target >>> (24 - shift)) & 0xff))
        target = ((target ^ ((1 << (32 - shift)) - 1)) - (at + 5)) | 0;
    }
    bytes[at + 4] = (target >>> 24) & 1 ? 0xff : 0;
    bytes[at + 3] = target >>> 16;
    bytes[at + 2] = target >>> 8;
    bytes[at + 1] = target;
    at += 4;
    mask = 0;
  }
}
