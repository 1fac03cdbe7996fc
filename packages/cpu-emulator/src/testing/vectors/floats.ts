import type { Random } from './random.js';

const SINGLE = [
  0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7fa12345,
  0xffb54321, 0x7f800001, 0x00000001, 0x807fffff, 0x7f7fffff, 0xff7fffff, 0x4f000000, 0xcf000000, 0x5f000000,
  0xdf000000, 0x3f000000, 0xbf000000, 0x3fc00000, 0x40200000, 0x4b000001, 0xcb000001, 0x00800000,
];
const DOUBLE = [
  0x0000000000000000n,
  0x8000000000000000n,
  0x3ff0000000000000n,
  0xbff0000000000000n,
  0x7ff0000000000000n,
  0xfff0000000000000n,
  0x7ff8000000000000n,
  0xfff8000000000000n,
  0x7ff4123456789abcn,
  0xfff2fedcba987654n,
  0x7ff0000000000001n,
  0x0000000000000001n,
  0x800fffffffffffffn,
  0x7fefffffffffffffn,
  0xffefffffffffffffn,
  0x41e0000000000000n,
  0xc1e0000000000000n,
  0x41dfffffffc00000n,
  0x41dfffffffe00000n,
  0x43e0000000000000n,
  0xc3e0000000000000n,
  0x3fe0000000000000n,
  0xbfe0000000000000n,
  0x3ff8000000000000n,
  0x4004000000000000n,
  0x4330000000000001n,
  0x0010000000000000n,
  0x47efffffe0000000n,
  0x47efffffefffffffn,
  0x36a0000000000000n,
];

/** Bits of a float of 4 or 8 bytes: borders, small integers and fractions, or anything. */
export function floatBits(random: Random, bytes: 4 | 8): bigint {
  const view = new DataView(new ArrayBuffer(8));
  switch (random.below(4)) {
    case 0:
      return bytes === 4 ? BigInt(random.pick(SINGLE)) : random.pick(DOUBLE);
    case 1: {
      const v = (random.below(4096) - 2048) / random.pick([1, 2, 4, 3, 1024]);
      view.setFloat64(0, v, true);
      if (bytes === 4) view.setFloat32(0, v, true);
      break;
    }
    case 2: {
      // Near an exponent, so that sums cancel and products stay finite.
      const v = (1 + random.u32() / 2 ** 32) * 2 ** (random.below(80) - 40) * (random.oneIn(2) ? 1 : -1);
      view.setFloat64(0, v, true);
      if (bytes === 4) view.setFloat32(0, v, true);
      break;
    }
    default:
      return bytes === 4 ? BigInt(random.u32()) : random.u64();
  }
  return bytes === 4 ? BigInt(view.getUint32(0, true)) : view.getBigUint64(0, true);
}
