import { i32, i64 } from '@xenolith/wasm-builder';
import { type Row, row } from '../row.js';
import { ARITHMETIC_FLAGS, FLAG, gprSlot, REG } from '../state.js';

const SAHF = ARITHMETIC_FLAGS & 0xff;
const ah = i32.const(gprSlot(REG.rax) + 1);

export const flagControl: Row[] = [
  row('clc', ['f8'], (cx) => cx.flags.change(FLAG.cf, i32.const(0))),
  row('stc', ['f9'], (cx) => cx.flags.change(FLAG.cf, i32.const(1))),
  row('cmc', ['f5'], (cx) => cx.flags.change(FLAG.cf, cx.f.let(i32.eqz(cx.flags.cf())))),
  row('cld', ['fc'], (cx) => cx.setSystemFlags(i32.and(cx.systemFlags(), i32.const(~FLAG.df)))),
  row('std', ['fd'], (cx) => cx.setSystemFlags(i32.or(cx.systemFlags(), i32.const(FLAG.df)))),
  row('sahf', ['9e'], (cx) => {
    cx.flags.change(SAHF, cx.f.let(i32.and(i32.load8_u(ah), i32.const(SAHF))));
  }),
  row('lahf', ['9f'], (cx) => {
    const low = i32.or(i32.and(cx.flags.gather(), i32.const(SAHF)), i32.const(2));
    cx.writeSlot(ah, 1, cx.f.let(i64.extend_u(low)));
  }),
];
