import type { Extended } from './extended.js';
import * as arithmetic from './x87-arithmetic.js';
import { keepC1, noteOperand, type Operation, operand, SOURCE_FORMATS } from './x87-operands.js';
import { STATUS, type X87Unit } from './x87-unit.js';

const UNORDERED = STATUS.c0 | STATUS.c2 | STATUS.c3;

/** The codes of ST(0) against another value; an exception that is not masked is raised behind them. */
function order(u: X87Unit, registers: readonly number[], b: () => Extended, signalling = true): number {
  return u.deferred(() =>
    u.inUse(...registers) ? arithmetic.compare(u, u.raw(0), b(), signalling) : UNORDERED,
  );
}
function setCodes(u: X87Unit, codes: number): void {
  u.kept = 0;
  u.codes = codes;
  u.stopIfUnmasked();
}
const compareWith =
  (signalling: boolean, pops: number): Operation =>
  (u, { i }) => {
    setCodes(
      u,
      order(u, [0, i], () => u.raw(i), signalling),
    );
    for (let n = 0; n < pops; n++) u.pop();
  };
const compareMemory =
  (source: string, pops: number): Operation =>
  (u, { memory }) => {
    noteOperand(u, source, memory);
    setCodes(
      u,
      order(u, [0], () => operand(u, source, memory)),
    );
    for (let n = 0; n < pops; n++) u.pop();
  };
/** FCOMI: the result is ZF PF CF as they stand in RFLAGS. */
const compareFlags =
  (signalling: boolean, pops: number): Operation =>
  (u, o) => {
    const codes = order(u, [0, o.i], () => u.raw(o.i), signalling);
    keepC1(u);
    o.result = BigInt(
      (codes & STATUS.c3 ? 0x40 : 0) | (codes & STATUS.c2 ? 4 : 0) | (codes & STATUS.c0 ? 1 : 0),
    );
    u.stopIfUnmasked();
    for (let n = 0; n < pops; n++) u.pop();
  };

/** Comparisons, by name; "pop" ones pop, "quiet" ones take quiet NaNs. */
export const comparisons: Record<string, Operation> = {
  compare: compareWith(true, 0),
  'compare pop': compareWith(true, 1),
  'compare pop2': compareWith(true, 2),
  'compare quiet': compareWith(false, 0),
  'compare quiet pop': compareWith(false, 1),
  'compare quiet pop2': compareWith(false, 2),
  ...Object.fromEntries(
    SOURCE_FORMATS.flatMap((source) => [
      [`compare ${source}`, compareMemory(source, 0)],
      [`compare pop ${source}`, compareMemory(source, 1)],
    ]),
  ),
  flags: compareFlags(true, 0),
  'flags pop': compareFlags(true, 1),
  'flags quiet': compareFlags(false, 0),
  'flags quiet pop': compareFlags(false, 1),
  'test zero': (u) => {
    setCodes(
      u,
      order(u, [0], () => 0n),
    );
  },
};
