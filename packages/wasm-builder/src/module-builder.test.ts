import { describe, expect, it } from 'vitest';
import { callExpr, callIndirect, i32, i64, ModuleBuilder, select, v128, v128op } from './index.js';

async function run(
  build: (m: ModuleBuilder) => void,
): Promise<Record<string, (...args: never[]) => unknown>> {
  const m = new ModuleBuilder();
  build(m);
  const { instance } = await WebAssembly.instantiate(m.toBytes(), {});
  return instance.exports as never;
}

describe('ModuleBuilder', () => {
  it('emits loops, locals and constants that WebAssembly accepts', async () => {
    const { sum } = await run((m) => {
      const ref = m.function(['i64'], ['i64'], (f) => {
        const n = f.param('i64', 0);
        const total = f.local('i64');
        f.block((end) => {
          f.loop((top) => {
            f.brIf(end, i64.eqz(n));
            f.set(total, i64.add(total, n));
            f.set(n, i64.sub(n, i64.const(1)));
            f.br(top);
          });
        });
        f.push(total);
      });
      m.export('sum', ref);
    });
    expect(sum!(100000n as never)).toBe(5000050000n);
  });

  it('calls directly and through the table', async () => {
    const { pick } = await run((m) => {
      const one = m.function(['i32'], ['i32'], (f) => f.push(i32.add(f.param('i32', 0), i32.const(1))));
      const ten = m.function(['i32'], ['i32'], (f) =>
        f.push(i32.mul(callExpr(one, [f.param('i32', 0)]), i32.const(-10))),
      );
      m.table([one, ten]);
      const type = m.typeIndex(['i32'], ['i32']);
      m.export(
        'pick',
        m.function(['i32', 'i32'], ['i32'], (f) =>
          f.push(
            callIndirect(type, { params: ['i32'], results: ['i32'] }, f.param('i32', 0), [f.param('i32', 1)]),
          ),
        ),
      );
    });
    expect(pick!(0 as never, 41 as never)).toBe(42);
    expect(pick!(1 as never, 1 as never)).toBe(-20);
  });

  it('emits vectors and 64-bit constants of every length', async () => {
    const values = [0n, -1n, 63n, 64n, -64n, -65n, 1n << 62n, -(1n << 63n), 0x123456789abcdefn];
    const { lane, ...rest } = await run((m) => {
      m.export(
        'lane',
        m.function(['i64'], ['i64'], (f) =>
          f.push(v128.extract64(v128op(206, v128op(18, f.param('i64', 0)), v128op(18, i64.const(2))), 1)),
        ),
      );
      for (const [i, v] of values.entries())
        m.export(
          `c${i}`,
          m.function([], ['i64'], (f) => f.push(i64.const(v))),
        );
      m.export(
        's',
        m.function(['i32'], ['i32'], (f) => f.push(select(f.param('i32', 0), i32.const(5), i32.const(6)))),
      );
    });
    expect(lane!(40n as never)).toBe(42n);
    for (const [i, v] of values.entries()) expect(rest[`c${i}`]!()).toBe(v);
    expect(rest.s!(1 as never)).toBe(5);
  });
});
