import { type I64, i32, i64, select } from '@xenolith/wasm-builder';
import { RECORD } from '../../core/record.js';
import { zeroExtend } from '../flags.js';
import type { Context } from '../semantics.js';

/** A register's or a sum's value as an offset or count of the address size, which stands in the record's `scale`. */
export const inAddressSize = (cx: Context, v: I64): I64 => {
  const value = cx.f.let(v);
  const size = i32.load8_u(cx.site.record, RECORD.scale);
  const narrow = select(i32.eq(size, i32.const(2)), zeroExtend(2, value), zeroExtend(4, value));
  return cx.f.let(select(i32.eq(size, i32.const(8)), value, narrow));
};

/** Linear address of a memory operand that no ModRM names, for rows with `implicitAddress`. */
export const implicitAddress = (cx: Context, offset: I64): I64 =>
  i64.add(inAddressSize(cx, offset), i64.load(i32.load16_u(cx.site.record, RECORD.index)));
