import { type Expr, type F32, type F64, type I32, type I64, memoryOp, op } from './expr.js';

function floatOps<T extends 'f32' | 'f64'>(type: T, compare: number, arithmetic: number) {
  type F = Expr<T>;
  const bin =
    (code: number) =>
    (a: F, b: F): F =>
      op(type, [code], [a, b]);
  const un =
    (code: number) =>
    (a: F): F =>
      op(type, [code], [a]);
  const cmp =
    (code: number) =>
    (a: F, b: F): I32 =>
      op('i32', [code], [a, b]);
  return {
    eq: cmp(compare),
    ne: cmp(compare + 1),
    lt: cmp(compare + 2),
    gt: cmp(compare + 3),
    le: cmp(compare + 4),
    ge: cmp(compare + 5),
    abs: un(arithmetic),
    neg: un(arithmetic + 1),
    ceil: un(arithmetic + 2),
    floor: un(arithmetic + 3),
    trunc: un(arithmetic + 4),
    nearest: un(arithmetic + 5),
    sqrt: un(arithmetic + 6),
    add: bin(arithmetic + 7),
    sub: bin(arithmetic + 8),
    mul: bin(arithmetic + 9),
    div: bin(arithmetic + 10),
    min: bin(arithmetic + 11),
    max: bin(arithmetic + 12),
    copysign: bin(arithmetic + 13),
  };
}

function floatConst<T extends 'f32' | 'f64'>(type: T, value: number) {
  const bytes = new Uint8Array(type === 'f32' ? 4 : 8);
  const view = new DataView(bytes.buffer);
  if (type === 'f32') view.setFloat32(0, value, true);
  else view.setFloat64(0, value, true);
  return op(type, [type === 'f32' ? 0x43 : 0x44, ...bytes], []);
}

/** f32 instructions, named as in the WebAssembly specification. */
export const f32 = {
  ...floatOps('f32', 0x5b, 0x8b),
  const: (value: number): F32 => floatConst('f32', value),
  convert_i32_s: (a: I32): F32 => op('f32', [0xb2], [a]),
  convert_i64_s: (a: I64): F32 => op('f32', [0xb4], [a]),
  demote: (a: F64): F32 => op('f32', [0xb6], [a]),
  reinterpret_i32: (a: I32): F32 => op('f32', [0xbe], [a]),
  load: (address: I32, offset = 0): F32 => memoryOp('f32', [0x2a], address, offset),
};

/** f64 instructions, named as in the WebAssembly specification. */
export const f64 = {
  ...floatOps('f64', 0x61, 0x99),
  const: (value: number): F64 => floatConst('f64', value),
  convert_i32_s: (a: I32): F64 => op('f64', [0xb7], [a]),
  convert_i64_s: (a: I64): F64 => op('f64', [0xb9], [a]),
  promote: (a: F32): F64 => op('f64', [0xbb], [a]),
  reinterpret_i64: (a: I64): F64 => op('f64', [0xbf], [a]),
  load: (address: I32, offset = 0): F64 => memoryOp('f64', [0x2b], address, offset),
};
