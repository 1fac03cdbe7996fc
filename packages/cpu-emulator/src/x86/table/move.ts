import { i32, i64 } from '@xenolith/wasm-builder';
import { RECORD } from '../../core/record.js';
import { type Row, row } from '../row.js';
import type { Context } from '../semantics.js';
import { REG, STATE } from '../state.js';
import { implicitAddress } from './implicit.js';

const copy = (cx: Context): void => cx.write(0, cx.read(1));

const xchg = (cx: Context): void => {
  const place = cx.modify(0);
  const other = cx.read(1);
  place.set(other);
  cx.write(1, place.value);
};

export const move: Row[] = [
  row(
    'mov',
    ['88 Eb,Gb', '89 Ev,Gv', '8a Gb,Eb', '8b Gv,Ev', 'c6/0 Eb,Ib', 'c7/0 Ev,Iz', 'b0+ Ob,Ib', 'b8+ Ov,Iv'],
    copy,
  ),
  row('movabs', ['a0 Ab,Db', 'a1 Av,Dv', 'a2 Db,Ab', 'a3 Dv,Av'], copy),
  row('movnti', ['np 0f c3 My,Gy'], copy),
  row('lea', ['8d Gv,M'], (cx) => cx.write(0, cx.address(1)), { addressOnly: true }),
  row('xchg', ['86 Eb,Gb', '87 Ev,Gv', '90+ Ov,Av'], xchg, { lock: true }),
  row(
    'cmov',
    ['0f 40cc Gv,Ev'],
    (cx) => {
      const v = cx.read(1);
      // A 32-bit destination is zero-extended whether the condition holds or not.
      cx.f.if(
        cx.flags.condition(cx.cc),
        () => cx.write(0, v),
        () => {
          if (cx.size === 4) cx.write(0, cx.read(0));
        },
      );
    },
    { cc: true },
  ),
  row(
    'set',
    ['0f 90cc Eb'],
    (cx) => {
      const value = cx.f.let(i64.extend_u(cx.flags.condition(cx.cc)));
      cx.write(0, value);
    },
    { cc: true },
  ),
  row('movbe', ['nr 0f 38 f0 Gv,Mv', 'nr 0f 38 f1 Mv,Gv'], (cx) => {
    const { f } = cx;
    const v = cx.read(1);
    const r = f.local('i64');
    f.set(r, i64.const(0));
    for (let i = 0; i < cx.size; i++) {
      const byte = i64.and(i64.shr_u(v, i64.const(8 * i)), i64.const(0xff));
      f.set(r, i64.or(r, i64.shl(byte, i64.const(8 * (cx.size - 1 - i)))));
    }
    cx.write(0, r);
  }),
  row(
    'xlat',
    ['d7'],
    (cx) => {
      const address = implicitAddress(cx, i64.add(cx.gpr(REG.rbx), cx.gpr(REG.rax, 1)));
      cx.setGpr(REG.rax, cx.load(address, 1), 1);
    },
    { implicitAddress: true },
  ),
  // Reading a selector is harmless at any privilege; memory operands are 16 bits whatever the operand size.
  row('mov', ['8c Rv,S', '8c Mw,S'], (cx) => {
    const index = i32.load16_u(cx.site.record, RECORD.aux);
    const selector = i64.load16_u(i32.add(i32.const(STATE.selectors), i32.shl(index, i32.const(1))));
    cx.write(0, cx.f.let(selector));
  }),
];
