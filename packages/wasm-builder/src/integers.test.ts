import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Expr, i32, i64, ModuleBuilder, type ValueType } from './index.js';

const signed = (bits: number) => (v: bigint) => BigInt.asIntN(bits, v);
const shift = (bits: number) => (b: bigint) => b & BigInt(bits - 1);

/** What the specification says of each operation, on unsigned bigints. */
function model(bits: number): Record<string, (a: bigint, b: bigint) => bigint> {
  const s = signed(bits);
  const n = shift(bits);
  const width = BigInt(bits);
  const is = (v: boolean): bigint => BigInt(v);
  const rotl = (a: bigint, by: bigint): bigint => (a << by) | (a >> ((width - by) % width));
  return {
    add: (a, b) => a + b,
    sub: (a, b) => a - b,
    mul: (a, b) => a * b,
    and: (a, b) => a & b,
    or: (a, b) => a | b,
    xor: (a, b) => a ^ b,
    shl: (a, b) => a << n(b),
    shr_u: (a, b) => a >> n(b),
    shr_s: (a, b) => s(a) >> n(b),
    rotl: (a, b) => rotl(a, n(b)),
    rotr: (a, b) => rotl(a, (width - n(b)) % width),
    div_u: (a, b) => a / b,
    rem_u: (a, b) => a % b,
    div_s: (a, b) => s(a) / s(b),
    rem_s: (a, b) => s(a) % s(b),
    eq: (a, b) => is(a === b),
    ne: (a, b) => is(a !== b),
    lt_u: (a, b) => is(a < b),
    gt_u: (a, b) => is(a > b),
    le_u: (a, b) => is(a <= b),
    ge_u: (a, b) => is(a >= b),
    lt_s: (a, b) => is(s(a) < s(b)),
    gt_s: (a, b) => is(s(a) > s(b)),
    le_s: (a, b) => is(s(a) <= s(b)),
    ge_s: (a, b) => is(s(a) >= s(b)),
  };
}
const COMPARISONS = /^(eq|ne|[lg][te]_[su])$/;

async function compile(
  type: 'i32' | 'i64',
): Promise<Record<string, (a: never, b: never) => number | bigint>> {
  const operations = (type === 'i32' ? i32 : i64) as unknown as Record<string, (a: Expr, b: Expr) => Expr>;
  const m = new ModuleBuilder();
  for (const name of Object.keys(model(32))) {
    const result: ValueType = COMPARISONS.test(name) ? 'i32' : type;
    const ref = m.function([type, type], [result], (f) =>
      f.push(operations[name]!(f.param(type, 0), f.param(type, 1))),
    );
    m.export(name, ref);
  }
  const { instance } = await WebAssembly.instantiate(m.toBytes());
  return instance.exports as never;
}

describe.each([
  ['i32', 32],
  ['i64', 64],
] as const)('%s operations', (type, bits) => {
  const min = 1n << BigInt(bits - 1);
  const value = fc.oneof(
    fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n }),
    fc.constantFrom(0n, 1n, 2n, min, min - 1n, 2n * min - 1n, BigInt(bits), BigInt(bits - 1)),
  );

  it.each(Object.entries(model(bits)))('%s is what the specification says', async (name, expected) => {
    const run = (await compile(type))[name]!;
    const pass = (v: bigint): never => (bits === 32 ? Number(v) : v) as never;
    fc.assert(
      fc.property(value, value, (a, b) => {
        // These trap.
        if (/^(div|rem)/.test(name) && b === 0n) return;
        if (name === 'div_s' && a === min && b === 2n * min - 1n) return;
        const result = BigInt.asUintN(COMPARISONS.test(name) ? 32 : bits, BigInt(run(pass(a), pass(b))));
        expect(result).toBe(BigInt.asUintN(bits, expected(a, b)));
      }),
      { seed: 20260731 },
    );
  });
});
