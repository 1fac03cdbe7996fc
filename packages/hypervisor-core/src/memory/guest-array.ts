import type { GuestAccess } from './interfaces.js';

const LOW_END = 1n << 47n;
const HYPERVISOR_END = 0xffff_8800_0000_0000n;
/** More than any Number keeps exactly: a frame number or count that no machine has. */
const TOO_LARGE = Number.MAX_SAFE_INTEGER;

/** A guest may pass the address (it is not in Xen's part); it need not be mapped. */
export const isGuestRange = (address: bigint): boolean => address < LOW_END || address >= HYPERVISOR_END;

/** The value as a number; one that is too large becomes 2^53 − 1, which is no frame, count or address of ours. */
export const toNumber = (value: bigint): number => (value > BigInt(TOO_LARGE) ? TOO_LARGE : Number(value));

/** The bytes as 32-bit words, copied only when they are not aligned. */
export function asWords(bytes: Uint8Array): Uint32Array {
  if (bytes.byteOffset % 4 === 0) return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
  const copy = bytes.slice();
  return new Uint32Array(copy.buffer, 0, copy.length >>> 2);
}

/** Reads `count` u64 as numbers (see `toNumber`), or undefined (EFAULT). */
export function readU64s(guest: GuestAccess, address: bigint, count: number): number[] | undefined {
  const bytes = guest.copyFrom(address, count * 8);
  if (bytes === undefined) return undefined;
  const words = asWords(bytes);
  const out: number[] = [];
  for (let i = 0; i < count; i++) {
    const high = words[i * 2 + 1];
    out.push(high >= 0x20_0000 ? TOO_LARGE : high * 2 ** 32 + words[i * 2]);
  }
  return out;
}

export function readU32(guest: GuestAccess, address: bigint): number | undefined {
  const bytes = guest.copyFrom(address, 4);
  return bytes && asWords(bytes)[0];
}

export function writeU32(guest: GuestAccess, address: bigint, value: number): boolean {
  return guest.copyTo(address, new Uint8Array(Uint32Array.of(value).buffer));
}

export function writeU64(guest: GuestAccess, address: bigint, value: number): boolean {
  return guest.copyTo(address, new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
}
