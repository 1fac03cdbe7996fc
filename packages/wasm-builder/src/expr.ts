import type { ByteWriter } from './bytes.js';

export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';
export const valueTypeCode: Record<ValueType, number> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

/**
 * A typed value that will be pushed where it is used. An expression with effects (a call, a load that must happen now)
 * is to be used exactly once, or put in a local with `FunctionBuilder.let`.
 */
export interface Expr<T extends ValueType = ValueType> {
  readonly type: T;
  emit(w: ByteWriter): void;
  /** Known value of an integer constant. */
  readonly constant?: T extends 'i64' ? bigint : number;
}
export type I32 = Expr<'i32'>;
export type I64 = Expr<'i64'>;
export type F32 = Expr<'f32'>;
export type F64 = Expr<'f64'>;
export type V128 = Expr<'v128'>;

export function op<T extends ValueType>(type: T, code: readonly number[], args: readonly Expr[]): Expr<T> {
  return {
    type,
    emit(w) {
      for (const a of args) a.emit(w);
      w.append(code);
    },
  };
}

/** A load or store instruction: the address first, then what is stored, then opcode, alignment 0 and offset. */
export function memoryOp<T extends ValueType>(
  type: T,
  code: readonly number[],
  address: I32,
  offset: number,
  rest: readonly Expr[] = [],
  lane?: number,
): Expr<T> {
  return {
    type,
    emit(w) {
      address.emit(w);
      for (const a of rest) a.emit(w);
      w.append(code);
      w.u32(0);
      w.u32(offset);
      if (lane !== undefined) w.byte(lane);
    },
  };
}
