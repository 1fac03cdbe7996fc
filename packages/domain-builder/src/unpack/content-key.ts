/**
 * A 128-bit key for some bytes, as 32 hexadecimal digits: MurmurHash3 (x86, 128 bits, seed 0). Fast and synchronous; it
 * tells files apart, and is no protection against somebody who makes two of them collide.
 */
export function contentKey(bytes: Uint8Array): string {
  const c1 = 0x239b961b;
  const c2 = 0xab0e9789 | 0;
  const c3 = 0x38b34ae5;
  const c4 = 0xa1e38b93 | 0;
  let h1 = 0;
  let h2 = 0;
  let h3 = 0;
  let h4 = 0;
  const blocks = bytes.length & ~15;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < blocks; at += 16) {
    h1 ^= Math.imul(rotate(Math.imul(view.getInt32(at, true), c1), 15), c2);
    h1 = (Math.imul((rotate(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
    h2 ^= Math.imul(rotate(Math.imul(view.getInt32(at + 4, true), c2), 16), c3);
    h2 = (Math.imul((rotate(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
    h3 ^= Math.imul(rotate(Math.imul(view.getInt32(at + 8, true), c3), 17), c4);
    h3 = (Math.imul((rotate(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
    h4 ^= Math.imul(rotate(Math.imul(view.getInt32(at + 12, true), c4), 18), c1);
    h4 = (Math.imul((rotate(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
  }
  if (blocks < bytes.length) {
    const rest = new Uint8Array(16);
    rest.set(bytes.subarray(blocks));
    const tail = new DataView(rest.buffer);
    h4 ^= Math.imul(rotate(Math.imul(tail.getInt32(12, true), c4), 18), c1);
    h3 ^= Math.imul(rotate(Math.imul(tail.getInt32(8, true), c3), 17), c4);
    h2 ^= Math.imul(rotate(Math.imul(tail.getInt32(4, true), c2), 16), c3);
    h1 ^= Math.imul(rotate(Math.imul(tail.getInt32(0, true), c1), 15), c2);
  }
  h1 ^= bytes.length;
  h2 ^= bytes.length;
  h3 ^= bytes.length;
  h4 ^= bytes.length;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = (h2 + h1) | 0;
  h3 = (h3 + h1) | 0;
  h4 = (h4 + h1) | 0;
  h1 = mix(h1);
  h2 = mix(h2);
  h3 = mix(h3);
  h4 = mix(h4);
  h1 = (h1 + h2 + h3 + h4) | 0;
  return [h1, h2 + h1, h3 + h1, h4 + h1].map((h) => (h >>> 0).toString(16).padStart(8, '0')).join('');
}

const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));

function mix(value: number): number {
  let h = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
