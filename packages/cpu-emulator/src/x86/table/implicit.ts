import { type I64, i32, i64, select } from '@xenolith/wasm-builder';
import { RECORD } from '../../core/record.js';
import { zeroExtend } from '../flags.js';
import type { Context } from '../semantics.js';

/** A register's or a sum's value as an offset or count of the address size, which stands in the record's `scale`. */
export const inAddressSize = (cx: Context, v: I64): I64 => {
  const value = cx.f.let(v);
  const narrow = i32.ne(i32.load8_u(cx.site.record, RECORD.scale), i32.const(8));
  return cx.f.let(select(narrow, zeroExtend(4, value), value));
};

/** Linear address of a memory operand that no ModRM names, for rows with `implicitAddress`. */
export const implicitAddress = (cx: Context, offset: I64): I64 =>
  i64.add(inAddressSize(cx, offset), i64.load(i32.load16_u(cx.site.record, RECORD.index)));
