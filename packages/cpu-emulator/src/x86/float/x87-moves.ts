import { type Extended, INDEFINITE, packExtended } from './extended.js';
import { DOUBLE, SINGLE } from './formats.js';
import { finite, zero } from './number.js';
import { ROUND } from './rounding.js';
import * as formats from './x87-formats.js';
import { type Operation, SOURCES } from './x87-operands.js';
import type { X87Unit } from './x87-unit.js';

/** One, as a register holds it. */
export const ONE = packExtended(finite(false, 1n, 0));

function push(u: X87Unit, value: () => Extended): void {
  u.push(u.hasRoom() ? value() : INDEFINITE);
}

const STORES: Record<string, (u: X87Unit, v: Extended) => bigint | undefined> = {
  single: (u, v) => formats.toFloat(u, SINGLE, v),
  double: (u, v) => formats.toFloat(u, DOUBLE, v),
  extended: (_u, v) => v,
  int16: (u, v) => formats.toInteger(u, 16, v),
  int32: (u, v) => formats.toInteger(u, 32, v),
  int64: (u, v) => formats.toInteger(u, 64, v),
  trunc16: (u, v) => formats.toInteger(u, 16, v, true),
  trunc32: (u, v) => formats.toInteger(u, 32, v, true),
  trunc64: (u, v) => formats.toInteger(u, 64, v, true),
  decimal: (u, v) => formats.toDecimal(u, v),
};
const INDEFINITES: Record<string, bigint> = {
  single: SINGLE.defaultNan,
  double: DOUBLE.defaultNan,
  extended: INDEFINITE,
  int16: 0x8000n,
  int32: 0x8000_0000n,
  int64: 1n << 63n,
  trunc16: 0x8000n,
  trunc32: 0x8000_0000n,
  trunc64: 1n << 63n,
  decimal: 0xffff_c000_0000_0000_0000n,
};
const store =
  (format: string, pops: number): Operation =>
  (u, o) => {
    const result = u.inUse(0) ? STORES[format]!(u, u.raw(0)) : INDEFINITES[format];
    if (result === undefined) return;
    o.result = result;
    if (pops) u.pop();
  };

const loads: Record<string, Operation> = {};
for (const [format, read] of Object.entries(SOURCES)) {
  loads[`load ${format}`] = (u, { memory }) => push(u, () => read(u, memory));
}
const stores: Record<string, Operation> = {};
for (const format of Object.keys(STORES)) {
  stores[`store ${format}`] = store(format, 0);
  stores[`pop ${format}`] = store(format, 1);
}

/** Constants by the bits of a longer expansion: 64 of the significand, and whether the rest is more than half of the last one. */
const CONSTANTS: Record<string, readonly [exponent: number, significand: bigint, more: boolean]> = {
  l2t: [0x4000, 0xd49a784bcd1b8afen, false],
  l2e: [0x3fff, 0xb8aa3b295c17f0bbn, true],
  pi: [0x4000, 0xc90fdaa22168c234n, true],
  lg2: [0x3ffd, 0x9a209a84fbcff798n, true],
  ln2: [0x3ffe, 0xb17217f7d1cf79abn, true],
};
const constants: Record<string, Operation> = {
  'constant 1': (u) => push(u, () => ONE),
  'constant 0': (u) => push(u, () => packExtended(zero(false))),
};
for (const [name, [exponent, significand, more]] of Object.entries(CONSTANTS)) {
  constants[`constant ${name}`] = (u) =>
    push(u, () => {
      const up = u.rounding === ROUND.up || (u.rounding === ROUND.nearest && more);
      return (BigInt(exponent) << 64n) | (significand + (up ? 1n : 0n));
    });
}

/** Loads, stores and constants, by name. */
export const moves: Record<string, Operation> = {
  ...loads,
  ...stores,
  ...constants,
  'load register': (u, { i }) => {
    if (u.inUse(i)) push(u, () => u.raw(i));
    else u.push(INDEFINITE);
  },
};
