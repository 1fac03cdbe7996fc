import type { Extended } from './extended.js';
import { DOUBLE, SINGLE } from './formats.js';
import * as formats from './x87-formats.js';
import { STATUS, type X87Unit } from './x87-unit.js';

/** Registers and memory of one operation. */
export interface Operands {
  /** ST(i) that the instruction names. */
  i: number;
  /** Memory operand. */
  memory: bigint;
  /** What is to be stored; undefined: nothing. */
  result: bigint | undefined;
}
export type Operation = (u: X87Unit, o: Operands) => void;

/** What a memory operand is as a register's value. */
export const SOURCES: Record<string, (u: X87Unit, memory: bigint) => Extended> = {
  single: (u, v) => formats.fromFloat(u, SINGLE, v),
  double: (u, v) => formats.fromFloat(u, DOUBLE, v),
  extended: (_u, v) => v,
  int16: (_u, v) => formats.fromInteger(BigInt.asIntN(16, v)),
  int32: (_u, v) => formats.fromInteger(BigInt.asIntN(32, v)),
  int64: (_u, v) => formats.fromInteger(BigInt.asIntN(64, v)),
  decimal: (_u, v) => formats.fromDecimal(v),
};

/** A value from memory for arithmetic: denormals and NaNs count as operands of the operation, not as conversions. */
export const SOURCE_FORMATS = ['single', 'double', 'int16', 'int32'];

export function operand(u: X87Unit, source: string, memory: bigint): Extended {
  if (source !== 'single' && source !== 'double') return SOURCES[source]!(u, memory);
  // Converted without exceptions first; a signalling NaN stays one.
  return formats.widened(source === 'single' ? SINGLE : DOUBLE, memory);
}
/** Says before the operation whether the operand is denormal. */
export function noteOperand(u: X87Unit, source: string, memory: bigint): void {
  if (source === 'single' || source === 'double')
    u.sourceDenormal = formats.isDenormal(source === 'single' ? SINGLE : DOUBLE, memory);
}

/** C1 is changed by a stack fault only. */
export const keepC1 = (u: X87Unit): void => {
  if (!u.hasStackFault) u.codes = u.status & STATUS.c1;
};
