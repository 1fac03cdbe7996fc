import { type I32, i64, type V128, v128, v128op } from '@xenolith/wasm-builder';
import { SIMD } from './simd.js';

export const range = <T>(n: number, f: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => f(i));

/** All ones in each lane of `size` bytes whose bit is set in `bits`: bit 0 for the lowest lane. */
export function laneMask(bits: I32, size: 2 | 4 | 8): V128 {
  const [splat, equal] = {
    2: [SIMD.i16x8_splat, SIMD.i16x8_eq],
    4: [SIMD.i32x4_splat, SIMD.i32x4_eq],
    8: [SIMD.i64x2_splat, SIMD.i64x2_eq],
  }[size];
  const own = v128.const(range(16, (i) => (i % size === 0 ? 1 << (i / size) : 0)));
  const copies = v128op(splat, size === 8 ? i64.extend_u(bits) : bits);
  return v128op(equal, v128op(SIMD.and, copies, own), own);
}
