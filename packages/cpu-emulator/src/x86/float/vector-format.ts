import { f32, f64, type V128, v128op } from '@xenolith/wasm-builder';
import { SIMD } from '../table/simd.js';

/** WebAssembly's vector operations of one format. */
export interface VectorFormat {
  suffix: 's' | 'd';
  op: Record<
    | 'add'
    | 'sub'
    | 'mul'
    | 'div'
    | 'sqrt'
    | 'abs'
    | 'eq'
    | 'ne'
    | 'lt'
    | 'gt'
    | 'le'
    | 'ge'
    | 'pmin'
    | 'pmax'
    | 'all',
    number
  >;
  splat(v: number): V128;
  /** The least normal number, Veltkamp's splitter, and the least product whose error can be computed. */
  least: number;
  splitter: number;
  leastProduct: number;
}
export const VECTOR: Record<'s' | 'd', VectorFormat> = {
  s: {
    suffix: 's',
    op: {
      add: SIMD.f32x4_add,
      sub: SIMD.f32x4_sub,
      mul: SIMD.f32x4_mul,
      div: SIMD.f32x4_div,
      sqrt: SIMD.f32x4_sqrt,
      abs: SIMD.f32x4_abs,
      eq: SIMD.f32x4_eq,
      ne: SIMD.f32x4_ne,
      lt: SIMD.f32x4_lt,
      gt: SIMD.f32x4_gt,
      le: SIMD.f32x4_le,
      ge: SIMD.f32x4_ge,
      pmin: SIMD.f32x4_pmin,
      pmax: SIMD.f32x4_pmax,
      all: SIMD.i32x4_all_true,
    },
    splat: (v) => v128op(SIMD.f32x4_splat, f32.const(v)),
    least: 2 ** -126,
    splitter: 2 ** 12 + 1,
    leastProduct: 2 ** -70,
  },
  d: {
    suffix: 'd',
    op: {
      add: SIMD.f64x2_add,
      sub: SIMD.f64x2_sub,
      mul: SIMD.f64x2_mul,
      div: SIMD.f64x2_div,
      sqrt: SIMD.f64x2_sqrt,
      abs: SIMD.f64x2_abs,
      eq: SIMD.f64x2_eq,
      ne: SIMD.f64x2_ne,
      lt: SIMD.f64x2_lt,
      gt: SIMD.f64x2_gt,
      le: SIMD.f64x2_le,
      ge: SIMD.f64x2_ge,
      pmin: SIMD.f64x2_pmin,
      pmax: SIMD.f64x2_pmax,
      all: SIMD.i64x2_all_true,
    },
    splat: (v) => v128op(SIMD.f64x2_splat, f64.const(v)),
    least: 2 ** -1022,
    splitter: 2 ** 27 + 1,
    leastProduct: 2 ** -900,
  },
};
