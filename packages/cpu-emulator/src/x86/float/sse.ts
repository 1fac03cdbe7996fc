import type { MachineMemory } from '@xenolith/mmu';
import { FLOAT, STATE } from '../state.js';
import { type BinaryFormat, DOUBLE, SINGLE } from './formats.js';
import { BEFORE, type Environment } from './rounding.js';
import {
  add,
  compareLane,
  convert,
  divide,
  extreme,
  fromInteger,
  type Lane,
  multiply,
  order,
  roundLane,
  squareRoot,
  subtract,
  toInteger,
} from './sse-lanes.js';

/*
 * SSE's floating point in every case that WebAssembly's operations do not do: other rounding modes, exceptions, denormals.
 * The rows of the table compute the common case themselves and come here with the rest.
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
