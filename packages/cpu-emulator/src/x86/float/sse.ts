import type { MachineMemory } from '@xenolith/mmu';
import { FLOAT, STATE } from '../state.js';
import { type BinaryFormat, DOUBLE, pack, SINGLE, type Unpacked, unpack } from './formats.js';
import * as exact from './number.js';
import { type FloatNumber, negated, zero } from './number.js';
import { BEFORE, type Environment, EXCEPTION, ROUND, round, roundToIntegral, toBigInt } from './rounding.js';

/*
 * SSE's floating point in every case that WebAssembly's operations do not do: other rounding modes, exceptions, denormals.
 * The rows of the table compute the common case themselves and come here with the rest. Which exceptions an operand raises: Intel
 * SDM volume 1, sections 11.5.2 and 4.9; AMD APM volume 1, section 4.10.
 */

interface Env extends Environment {
  /** Exceptions of the instruction's steps that are done; `flags` has those of the present one. */
  settled: number;
}

/** Ends a step: what is found before an operation keeps the rest from being computed, in all lanes. True: no further step. */
function settle(env: Env): boolean {
  const unmasked = env.flags & ~env.masks;
  env.settled |= unmasked & BEFORE ? env.flags & BEFORE : env.flags;
  env.flags = 0;
  return unmasked !== 0;
}

/** What becomes of one lane's bits. */
type Lane = (env: Env, format: BinaryFormat, a: bigint, b: bigint, argument: number) => bigint;

const read = (env: Env, format: BinaryFormat, bits: bigint): Unpacked => {
  const v = unpack(format, bits);
  return !v.nan && v.denormal && env.denormalsAreZero
    ? { nan: false, number: zero(v.number.negative), denormal: false }
    : v;
};

const invalid = (env: Env, format: BinaryFormat): bigint => {
  env.flags |= EXCEPTION.invalid;
  return format.defaultNan;
};

/** The first operand's NaN made quiet, else the second's (Intel SDM volume 1, table 4-7). */
function propagate(env: Env, format: BinaryFormat, bits: readonly bigint[]): bigint | undefined {
  const nans = bits.map((b) => ({ b, v: unpack(format, b) })).filter(({ v }) => v.nan);
  if (nans.length === 0) return undefined;
  if (nans.some(({ v }) => v.nan && !v.quiet)) env.flags |= EXCEPTION.invalid;
  return nans[0]!.b | format.quietBit;
}

const noteDenormal = (env: Env, ...operands: readonly Unpacked[]): void => {
  if (operands.some((v) => !v.nan && v.denormal)) env.flags |= EXCEPTION.denormal;
};

/** An operation on two numbers: `isInvalid` and `dividesByZero` say when there is no result to round. */
const arithmetic =
  (
    compute: (env: Env, a: FloatNumber, b: FloatNumber) => FloatNumber,
    isInvalid: (a: FloatNumber, b: FloatNumber) => boolean,
    dividesByZero: (a: FloatNumber, b: FloatNumber) => boolean = () => false,
  ): Lane =>
  (env, format, a, b) => {
    const nan = propagate(env, format, [a, b]);
    if (nan !== undefined) return nan;
    const [x, y] = [read(env, format, a), read(env, format, b)];
    if (x.nan || y.nan) return format.defaultNan;
    if (isInvalid(x.number, y.number)) return invalid(env, format);
    if (dividesByZero(x.number, y.number)) env.flags |= EXCEPTION.zeroDivide;
    else noteDenormal(env, x, y);
    return pack(format, round(env, compute(env, x.number, y.number), format));
  };

const bothInfinite = (a: FloatNumber, b: FloatNumber): boolean =>
  a.kind === 'infinite' && b.kind === 'infinite';
const bothZero = (a: FloatNumber, b: FloatNumber): boolean => a.kind === 'zero' && b.kind === 'zero';
const isDown = (env: Env): boolean => env.rounding === ROUND.down;

const add = arithmetic(
  (env, a, b) => exact.add(a, b, isDown(env)),
  (a, b) => bothInfinite(a, b) && a.negative !== b.negative,
);
const subtract = arithmetic(
  (env, a, b) => exact.add(a, negated(b), isDown(env)),
  (a, b) => bothInfinite(a, b) && a.negative === b.negative,
);
const multiply = arithmetic(
  (_env, a, b) => exact.multiply(a, b),
  (a, b) => (a.kind === 'infinite' && b.kind === 'zero') || (a.kind === 'zero' && b.kind === 'infinite'),
);
const divide = arithmetic(
  (_env, a, b) => exact.divide(a, b),
  (a, b) => bothZero(a, b) || bothInfinite(a, b),
  (a, b) => a.kind === 'finite' && b.kind === 'zero',
);

const squareRoot: Lane = (env, format, _a, b) => {
  const nan = propagate(env, format, [b]);
  if (nan !== undefined) return nan;
  const v = read(env, format, b);
  if (v.nan) return format.defaultNan;
  if (v.number.negative && v.number.kind !== 'zero') return invalid(env, format);
  noteDenormal(env, v);
  return pack(format, round(env, exact.squareRoot(v.number), format));
};

/** MIN and MAX: the second operand, unless the first is strictly the wanted one. */
const extreme =
  (wanted: -1 | 1): Lane =>
  (env, format, a, b) => {
    const [x, y] = [read(env, format, a), read(env, format, b)];
    const forward = (v: Unpacked, bits: bigint): bigint => (v.nan ? bits : pack(format, v.number));
    if (x.nan || y.nan) {
      env.flags |= EXCEPTION.invalid;
      return forward(y, b);
    }
    noteDenormal(env, x, y);
    return exact.compare(x.number, y.number) === wanted ? forward(x, a) : forward(y, b);
  };

/** How two operands compare; undefined: unordered. Quiet NaNs are invalid only if `signalling`. */
function order(
  env: Env,
  format: BinaryFormat,
  a: bigint,
  b: bigint,
  signalling: boolean,
): -1 | 0 | 1 | undefined {
  const [x, y] = [read(env, format, a), read(env, format, b)];
  if (x.nan || y.nan) {
    if (signalling || [x, y].some((v) => v.nan && !v.quiet)) env.flags |= EXCEPTION.invalid;
    return undefined;
  }
  noteDenormal(env, x, y);
  return exact.compare(x.number, y.number);
}

/** Predicates eq lt le unord by bits 0 and 1, their negations by bit 2. */
const compareLane: Lane = (env, format, a, b, predicate) => {
  const kind = predicate & 3;
  const r = order(env, format, a, b, kind === 1 || kind === 2);
  const holds =
    kind === 3 ? r === undefined : r !== undefined && (kind === 0 ? r === 0 : kind === 1 ? r < 0 : r <= 0);
  return holds !== ((predicate & 4) !== 0) ? (1n << BigInt(format.width)) - 1n : 0n;
};

/** ROUNDPS and the like: bit 2 of the immediate says MXCSR.RC, otherwise its low two bits are the mode; bit 3: never inexact. */
const roundLane: Lane = (env, format, _a, b, immediate) => {
  const nan = propagate(env, format, [b]);
  if (nan !== undefined) return nan;
  const v = read(env, format, b);
  if (v.nan) return format.defaultNan;
  const before = env.flags;
  const r = roundToIntegral(env, v.number, immediate & 4 ? env.rounding : immediate & 3);
  if (immediate & 8) env.flags = before;
  return pack(format, r);
};

/** A float to an integer of `bits`; what does not fit is invalid and gives 1 followed by zeros. */
function toInteger(env: Env, format: BinaryFormat, v: bigint, bits: number, truncate: boolean): bigint {
  const indefinite = 1n << BigInt(bits - 1);
  const value = read(env, format, v);
  const before = env.flags;
  if (!value.nan && value.number.kind !== 'infinite') {
    const r = toBigInt(roundToIntegral(env, value.number, truncate ? ROUND.zero : env.rounding));
    if (r >= -indefinite && r < indefinite) return BigInt.asUintN(bits, r);
  }
  env.flags = before | EXCEPTION.invalid;
  return indefinite;
}

/** One format to another: a NaN keeps its sign and the payload's upper bits and becomes quiet. */
function convert(env: Env, from: BinaryFormat, to: BinaryFormat, bits: bigint): bigint {
  const v = read(env, from, bits);
  if (v.nan) {
    if (!v.quiet) env.flags |= EXCEPTION.invalid;
    const fraction = bits & ((1n << BigInt(from.bits - 1)) - 1n);
    const shift = from.bits - to.bits;
    const payload = shift > 0 ? fraction >> BigInt(shift) : fraction << BigInt(-shift);
    const sign = (bits >> BigInt(from.width - 1)) << BigInt(to.width - 1);
    return sign | (to.defaultNan & ~(1n << BigInt(to.width - 1))) | payload;
  }
  noteDenormal(env, v);
  return pack(to, round(env, v.number, to));
}

const fromInteger = (env: Env, to: BinaryFormat, v: bigint): bigint =>
  pack(to, round(env, exact.finite(v < 0n, v < 0n ? -v : v, 0), to));

/** The operands and the result as lanes; what of the result is not written is zero. */
class Lanes {
  constructor(readonly view: DataView) {}
  a(format: BinaryFormat, i: number): bigint {
    return this.#read(FLOAT.a, format.width, i);
  }
  b(width: number, i: number): bigint {
    return this.#read(FLOAT.b, width, i);
  }
  set(width: number, i: number, v: bigint): void {
    if (width === 32) this.view.setUint32(FLOAT.result + 4 * i, Number(v), true);
    else this.view.setBigUint64(FLOAT.result + 8 * i, v, true);
  }
  #read(at: number, width: number, i: number): bigint {
    return width === 32
      ? BigInt(this.view.getUint32(at + 4 * i, true))
      : this.view.getBigUint64(at + 8 * i, true);
  }
}

type Operation = (env: Env, lanes: Lanes, count: number, argument: number) => void;

const each =
  (lane: Lane) =>
  (format: BinaryFormat): Operation =>
  (env, lanes, count, argument) => {
    for (let i = 0; i < count; i++)
      lanes.set(format.width, i, lane(env, format, lanes.a(format, i), lanes.b(format.width, i), argument));
  };

/** Even lanes are subtracted, odd lanes added. */
const addSubtract =
  (format: BinaryFormat): Operation =>
  (env, lanes, count) => {
    for (let i = 0; i < count; i++) {
      const lane = i & 1 ? add : subtract;
      lanes.set(format.width, i, lane(env, format, lanes.a(format, i), lanes.b(format.width, i), 0));
    }
  };

/** Products of the lanes in the argument's bits 4–7, their sum in the lanes of bits 0–3; each step is rounded. */
const dotProduct =
  (format: BinaryFormat): Operation =>
  (env, lanes, _count, argument) => {
    const count = format === SINGLE ? 4 : 2;
    const products = Array.from({ length: count }, (_, i) =>
      argument & (16 << i) ? multiply(env, format, lanes.a(format, i), lanes.b(format.width, i), 0) : 0n,
    );
    if (settle(env)) return;
    const pair = (i: number): bigint => add(env, format, products[i]!, products[i + 1]!, 0);
    let sum = pair(0);
    if (count === 4) {
      const high = pair(2);
      if (settle(env)) return;
      sum = add(env, format, sum, high, 0);
    }
    for (let i = 0; i < count; i++) lanes.set(format.width, i, argument & (1 << i) ? sum : 0n);
  };

const integers =
  (format: BinaryFormat, bits: 32 | 64, truncate: boolean): Operation =>
  (env, lanes, count) => {
    for (let i = 0; i < count; i++)
      lanes.set(bits, i, toInteger(env, format, lanes.b(format.width, i), bits, truncate));
  };
const floats =
  (bits: 32 | 64, format: BinaryFormat): Operation =>
  (env, lanes, count) => {
    for (let i = 0; i < count; i++)
      lanes.set(format.width, i, fromInteger(env, format, BigInt.asIntN(bits, lanes.b(bits, i))));
  };
const converted =
  (from: BinaryFormat, to: BinaryFormat): Operation =>
  (env, lanes, count) => {
    for (let i = 0; i < count; i++) lanes.set(to.width, i, convert(env, from, to, lanes.b(from.width, i)));
  };
/** COMI and UCOMI: 1 less, 0 equal, 2 greater, 3 unordered in the result's first lane. */
const ordered =
  (signalling: boolean) =>
  (format: BinaryFormat): Operation =>
  (env, lanes) => {
    const r = order(env, format, lanes.a(format, 0), lanes.b(format.width, 0), signalling);
    lanes.set(32, 0, r === undefined ? 3n : r < 0 ? 1n : r > 0 ? 2n : 0n);
  };

const both = (name: string, of: (format: BinaryFormat) => Operation): Record<string, Operation> => ({
  [`${name}s`]: of(SINGLE),
  [`${name}d`]: of(DOUBLE),
});

const OPERATIONS: Record<string, Operation> = {
  ...both('add', each(add)),
  ...both('sub', each(subtract)),
  ...both('mul', each(multiply)),
  ...both('div', each(divide)),
  ...both('sqrt', each(squareRoot)),
  ...both('min', each(extreme(-1))),
  ...both('max', each(extreme(1))),
  ...both('cmp', each(compareLane)),
  ...both('round', each(roundLane)),
  ...both('addsub', addSubtract),
  ...both('dp', dotProduct),
  ...both('comi', ordered(true)),
  ...both('ucomi', ordered(false)),
  ...both('int32', (format) => integers(format, 32, false)),
  ...both('int64', (format) => integers(format, 64, false)),
  ...both('trunc32', (format) => integers(format, 32, true)),
  ...both('trunc64', (format) => integers(format, 64, true)),
  ...both('from32', (format) => floats(32, format)),
  ...both('from64', (format) => floats(64, format)),
  widen: converted(SINGLE, DOUBLE),
  narrow: converted(DOUBLE, SINGLE),
};
const NAMES = Object.keys(OPERATIONS);
const LIST = Object.values(OPERATIONS);

/** The number by which a handler asks for an operation. */
export function sseOperation(name: string): number {
  const number = NAMES.indexOf(name);
  if (number < 0) throw new Error(`instruction table: no floating-point operation ${name}`);
  return number;
}

/**
 * Carries out one operation on `FLOAT.a` and `FLOAT.b` under MXCSR; the result is left in `FLOAT.result`, and MXCSR has the
 * exceptions. `FLOAT.fault` becomes 1 when one of them is not masked: the result is not to be used then.
 *
 * @param count lanes
 * @param argument the immediate operand
 */
export function executeSse(machine: MachineMemory, operation: number, count: number, argument: number): void {
  const { view, bytes } = machine;
  const mxcsr = view.getUint32(STATE.mxcsr, true);
  const masks = (mxcsr >> 7) & 63;
  const env: Env = {
    rounding: (mxcsr >> 13) & 3,
    masks,
    flushToZero: (mxcsr & 0x8000) !== 0,
    denormalsAreZero: (mxcsr & 0x40) !== 0,
    flags: 0,
    settled: 0,
    roundedUp: false,
  };
  bytes.fill(0, FLOAT.result, FLOAT.result + 16);
  LIST[operation]!(env, new Lanes(view), count, argument);
  settle(env);
  view.setUint32(STATE.mxcsr, mxcsr | env.settled, true);
  if (env.settled & ~masks) view.setUint32(FLOAT.fault, 1, true);
}
