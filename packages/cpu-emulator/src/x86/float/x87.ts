import type { MachineMemory } from '@xenolith/mmu';
import { FLOAT } from '../state.js';
import { type Extended, INDEFINITE } from './extended.js';
import * as arithmetic from './x87-arithmetic.js';
import { comparisons } from './x87-compare.js';
import { moves, ONE } from './x87-moves.js';
import {
  keepC1,
  noteOperand,
  type Operands,
  type Operation,
  operand,
  SOURCE_FORMATS,
} from './x87-operands.js';
import * as functions from './x87-transcendental.js';
import { CODES, STATUS, Unmasked, X87Unit } from './x87-unit.js';

/*
 * The operations of the x87 unit. A row of the table reads its memory operand, has one of these executed, and stores the result;
 * rows whose operands differ only by place or format share an operation.
 */

const SIGN = 1n << 79n;

// ── arithmetic ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** The eight operations of the arithmetic groups by ModRM.reg; `reversed` ones have the operands the other way round. */
const BINARY: Record<string, { compute: arithmetic.Binary; reversed?: boolean }> = {
  add: { compute: arithmetic.add },
  mul: { compute: arithmetic.multiply },
  sub: { compute: arithmetic.subtract },
  subr: { compute: arithmetic.subtract, reversed: true },
  div: { compute: arithmetic.divide },
  divr: { compute: arithmetic.divide, reversed: true },
};

const arithmeticOperations: Record<string, Operation> = {};
for (const [name, { compute, reversed }] of Object.entries(BINARY)) {
  const apply = (u: X87Unit, a: Extended, b: Extended): Extended =>
    reversed ? compute(u, b, a) : compute(u, a, b);
  // ST(0) with ST(i); ST(i) with ST(0), and popped.
  arithmeticOperations[`${name} st0`] = (u, { i }) =>
    u.set(0, u.inUse(0, i) ? apply(u, u.raw(0), u.raw(i)) : INDEFINITE);
  arithmeticOperations[`${name} sti`] = (u, { i }) =>
    u.set(i, u.inUse(0, i) ? apply(u, u.raw(i), u.raw(0)) : INDEFINITE);
  arithmeticOperations[`${name} pop`] = (u, { i }) => {
    u.set(i, u.inUse(0, i) ? apply(u, u.raw(i), u.raw(0)) : INDEFINITE);
    u.pop();
  };
  for (const source of SOURCE_FORMATS) {
    arithmeticOperations[`${name} ${source}`] = (u, { memory }) => {
      noteOperand(u, source, memory);
      u.set(0, u.inUse(0) ? apply(u, u.raw(0), operand(u, source, memory)) : INDEFINITE);
    };
  }
}

/** An operation on ST(0) that leaves its result there. */
const onTop =
  (compute: (u: X87Unit, a: Extended) => Extended): Operation =>
  (u) =>
    u.set(0, u.inUse(0) ? compute(u, u.raw(0)) : INDEFINITE);
/** One on ST(0) and ST(1) that leaves its result in ST(0). */
const onTwo =
  (compute: arithmetic.Binary): Operation =>
  (u) =>
    u.set(0, u.inUse(0, 1) ? compute(u, u.raw(0), u.raw(1)) : INDEFINITE);
/** One whose result takes the place of ST(1), and which pops. */
const intoNext =
  (compute: arithmetic.Binary): Operation =>
  (u) => {
    u.set(1, u.inUse(0, 1) ? compute(u, u.raw(1), u.raw(0)) : INDEFINITE);
    u.pop();
  };
/** One that changes bits only and raises nothing. */
const bitwise = (change: (v: Extended) => Extended): Operation => onTop((_u, a) => change(a));

// ── the rest ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const exchange: Operation = (u, { i }) => {
  u.inUse(0, i);
  const [a, b] = [u.isEmpty(0) ? INDEFINITE : u.raw(0), u.isEmpty(i) ? INDEFINITE : u.raw(i)];
  u.set(0, b);
  u.set(i, a);
};
const copy =
  (pops: number): Operation =>
  (u, { i }) => {
    u.set(i, u.inUse(0) ? u.raw(0) : INDEFINITE);
    for (let n = 0; n < pops; n++) u.pop();
  };
/** FSINCOS and FPTAN: two results, the second on top. */
const circularPair =
  (pick: (v: NonNullable<ReturnType<typeof functions.circular>>) => [Extended, Extended]): Operation =>
  (u) => {
    u.kept &= ~STATUS.c2;
    const fits = u.inUse(0) && u.hasRoom();
    if (!fits) {
      u.set(0, INDEFINITE);
      u.push(INDEFINITE);
      return;
    }
    const v = functions.circular(u, u.raw(0));
    if (!v) return;
    const [first, second] = pick(v);
    u.set(0, first);
    u.push(second);
  };
const circularOne =
  (pick: (v: NonNullable<ReturnType<typeof functions.circular>>) => Extended): Operation =>
  (u) => {
    u.kept &= ~STATUS.c2;
    if (!u.inUse(0)) return u.set(0, INDEFINITE);
    const v = functions.circular(u, u.raw(0));
    if (v) u.set(0, pick(v));
  };
/** C2 says whether the remainder is not yet reached; C0, C3 and C1 are the quotient's when it is. */
const remainder =
  (nearest: boolean): Operation =>
  (u, o) => {
    u.kept = STATUS.c0 | STATUS.c3;
    onTwo(arithmetic.remainder(nearest))(u, o);
  };
const isNan = (v: Extended): boolean => v === INDEFINITE || ((v >> 64n) & 0x7fffn) === 0x7fffn;

const OPERATIONS: Record<string, Operation> = {
  ...arithmeticOperations,
  ...moves,
  ...comparisons,
  examine: (u) => {
    u.kept = 0;
    u.codes = arithmetic.examine(u);
  },
  exchange,
  copy: copy(0),
  'copy pop': copy(1),
  // The second encoding of FSTP, D9 D8: an empty register is no fault and is not copied.
  'copy pop quiet': (u, { i }) => {
    if (!u.isEmpty(0)) u.set(i, u.raw(0));
    u.pop();
  },
  free: (u, { i }) => u.free(i),
  'free pop': (u, { i }) => {
    u.free(i);
    u.pop();
  },
  'step down': (u) => {
    u.top -= 1;
  },
  'step up': (u) => {
    u.top += 1;
  },
  nothing: keepC1,
  // FCMOVcc, when its condition holds and when it does not.
  'conditional copy': (u, { i }) => {
    u.set(0, u.inUse(0, i) ? u.raw(i) : INDEFINITE);
    keepC1(u);
  },
  'conditional check': (u, { i }) => {
    if (!u.inUse(0, i)) u.set(0, INDEFINITE);
    keepC1(u);
  },
  negate: bitwise((v) => v ^ SIGN),
  absolute: bitwise((v) => v & ~SIGN),
  sqrt: onTop(arithmetic.squareRoot),
  round: onTop(arithmetic.roundInteger),
  scale: onTwo(arithmetic.scale),
  remainder: remainder(false),
  'remainder nearest': remainder(true),
  extract: (u) => {
    if (!(u.inUse(0) && u.hasRoom())) {
      u.set(0, INDEFINITE);
      u.push(INDEFINITE);
      return;
    }
    const [exponent, significand] = arithmetic.extract(u, u.raw(0));
    u.set(0, exponent);
    u.push(significand);
  },
  'power minus one': onTop(functions.powerMinusOne),
  'y log2': intoNext(functions.yLog2),
  'y log2 plus one': intoNext(functions.yLog2Plus1),
  arctangent: intoNext(functions.partialArctangent),
  sin: circularOne((v) => v.sin),
  cos: circularOne((v) => v.cos),
  'sin cos': circularPair((v) => [v.sin, v.cos]),
  tangent: circularPair((v) => {
    const { tan } = v;
    return [tan, isNan(tan) ? tan : ONE];
  }),
};

const NAMES = Object.keys(OPERATIONS);
const LIST = Object.values(OPERATIONS);

/** The number by which a handler asks for an operation. */
export function x87Operation(name: string): number {
  const number = NAMES.indexOf(name);
  if (number < 0) throw new Error(`instruction table: no x87 operation ${name}`);
  return number;
}

/**
 * Carries out one operation with the memory operand in `FLOAT.a`.
 *
 * @param i ST(i) that the instruction names
 * @returns 1 when `FLOAT.result` is to be stored; 0 when there is nothing to store
 */
export function executeX87(machine: MachineMemory, operation: number, i: number): number {
  const { view } = machine;
  const u = new X87Unit(machine);
  const memory = view.getBigUint64(FLOAT.a, true) | (BigInt(view.getUint16(FLOAT.a + 8, true)) << 64n);
  const o: Operands = { i, memory, result: undefined };
  u.begin();
  try {
    LIST[operation]!(u, o);
  } catch (error) {
    if (!(error instanceof Unmasked)) throw error;
    u.roundedUp = false;
  }
  u.finish();
  if (o.result === undefined) return 0;
  view.setBigUint64(FLOAT.result, BigInt.asUintN(64, o.result), true);
  view.setUint16(FLOAT.result + 8, Number(o.result >> 64n), true);
  return 1;
}

/** The tag word as FSTENV and FSAVE store it: two bits a register, by what is in it. */
export function fullTags(machine: MachineMemory): number {
  const u = new X87Unit(machine);
  let tags = 0;
  for (let i = 0; i < 8; i++) {
    const codes = arithmetic.examine(u, i) & CODES & ~STATUS.c1;
    const empty = u.isEmpty(i);
    const tag = empty ? 3 : codes === STATUS.c3 ? 1 : codes === STATUS.c2 ? 0 : 2;
    tags |= tag << (2 * ((u.top + i) & 7));
  }
  return tags;
}
