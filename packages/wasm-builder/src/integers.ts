import { type Expr, type F32, type F64, type I32, type I64, memoryOp, op } from './expr.js';

const bin32 =
  (code: number) =>
  (a: I32, b: I32): I32 =>
    op('i32', [code], [a, b]);
const bin64 =
  (code: number) =>
  (a: I64, b: I64): I64 =>
    op('i64', [code], [a, b]);
const cmp64 =
  (code: number) =>
  (a: I64, b: I64): I32 =>
    op('i32', [code], [a, b]);
const load32 =
  (code: number) =>
  (address: I32, offset = 0): I32 =>
    memoryOp('i32', [code], address, offset);
const load64 =
  (code: number) =>
  (address: I32, offset = 0): I64 =>
    memoryOp('i64', [code], address, offset);

function const32(value: number): I32 {
  return {
    type: 'i32',
    constant: value | 0,
    emit(w) {
      w.byte(0x41);
      w.s32(value);
    },
  };
}

function const64(value: bigint | number): I64 {
  const v = BigInt.asIntN(64, BigInt(value));
  return {
    type: 'i64',
    constant: v,
    emit(w) {
      w.byte(0x42);
      w.s64(v);
    },
  };
}

/** i32 instructions, named as in the WebAssembly specification. Loads take an address and a constant offset. */
export const i32 = {
  const: const32,
  eqz: (a: I32): I32 => op('i32', [0x45], [a]),
  eq: bin32(0x46),
  ne: bin32(0x47),
  lt_s: bin32(0x48),
  lt_u: bin32(0x49),
  gt_s: bin32(0x4a),
  gt_u: bin32(0x4b),
  le_s: bin32(0x4c),
  le_u: bin32(0x4d),
  ge_s: bin32(0x4e),
  ge_u: bin32(0x4f),
  clz: (a: I32): I32 => op('i32', [0x67], [a]),
  ctz: (a: I32): I32 => op('i32', [0x68], [a]),
  popcnt: (a: I32): I32 => op('i32', [0x69], [a]),
  add: bin32(0x6a),
  sub: bin32(0x6b),
  mul: bin32(0x6c),
  div_s: bin32(0x6d),
  div_u: bin32(0x6e),
  rem_s: bin32(0x6f),
  rem_u: bin32(0x70),
  and: bin32(0x71),
  or: bin32(0x72),
  xor: bin32(0x73),
  shl: bin32(0x74),
  shr_s: bin32(0x75),
  shr_u: bin32(0x76),
  rotl: bin32(0x77),
  rotr: bin32(0x78),
  wrap: (a: I64): I32 => op('i32', [0xa7], [a]),
  reinterpret_f32: (a: F32): I32 => op('i32', [0xbc], [a]),
  trunc_sat_f32_s: (a: F32): I32 => op('i32', [0xfc, 0], [a]),
  trunc_sat_f64_s: (a: F64): I32 => op('i32', [0xfc, 2], [a]),
  extend8_s: (a: I32): I32 => op('i32', [0xc0], [a]),
  extend16_s: (a: I32): I32 => op('i32', [0xc1], [a]),
  load: load32(0x28),
  load8_s: load32(0x2c),
  load8_u: load32(0x2d),
  load16_s: load32(0x2e),
  load16_u: load32(0x2f),
};

/** i64 instructions, named as in the WebAssembly specification; `extend_u` and `extend_s` are from i32. */
export const i64 = {
  const: const64,
  eqz: (a: I64): I32 => op('i32', [0x50], [a]),
  eq: cmp64(0x51),
  ne: cmp64(0x52),
  lt_s: cmp64(0x53),
  lt_u: cmp64(0x54),
  gt_s: cmp64(0x55),
  gt_u: cmp64(0x56),
  le_s: cmp64(0x57),
  le_u: cmp64(0x58),
  ge_s: cmp64(0x59),
  ge_u: cmp64(0x5a),
  clz: (a: I64): I64 => op('i64', [0x79], [a]),
  ctz: (a: I64): I64 => op('i64', [0x7a], [a]),
  popcnt: (a: I64): I64 => op('i64', [0x7b], [a]),
  add: bin64(0x7c),
  sub: bin64(0x7d),
  mul: bin64(0x7e),
  div_s: bin64(0x7f),
  div_u: bin64(0x80),
  rem_s: bin64(0x81),
  rem_u: bin64(0x82),
  and: bin64(0x83),
  or: bin64(0x84),
  xor: bin64(0x85),
  shl: bin64(0x86),
  shr_s: bin64(0x87),
  shr_u: bin64(0x88),
  rotl: bin64(0x89),
  rotr: bin64(0x8a),
  extend_s: (a: I32): I64 => op('i64', [0xac], [a]),
  extend_u: (a: I32): I64 => op('i64', [0xad], [a]),
  extend8_s: (a: I64): I64 => op('i64', [0xc2], [a]),
  extend16_s: (a: I64): I64 => op('i64', [0xc3], [a]),
  extend32_s: (a: I64): I64 => op('i64', [0xc4], [a]),
  reinterpret_f64: (a: F64): I64 => op('i64', [0xbd], [a]),
  trunc_sat_f32_s: (a: F32): I64 => op('i64', [0xfc, 4], [a]),
  trunc_sat_f64_s: (a: F64): I64 => op('i64', [0xfc, 6], [a]),
  load: load64(0x29),
  load8_s: load64(0x30),
  load8_u: load64(0x31),
  load16_s: load64(0x32),
  load16_u: load64(0x33),
  load32_s: load64(0x34),
  load32_u: load64(0x35),
};

/** `condition ? a : b`; both are evaluated. */
export function select<E extends Expr>(condition: I32, a: E, b: E): Expr<E['type']> {
  const typed = a.type === 'v128' ? [0x1c, 1, 0x7b] : [0x1b];
  return op(a.type as E['type'], typed, [a, b, condition]);
}
