import { i32, i64 } from '@xenolith/wasm-builder';
import { zeroExtend } from '../flags.js';
import { type Row, row } from '../row.js';
import type { Context } from '../semantics.js';
import { REG } from '../state.js';

/** LOOPNE, LOOPE, LOOP: rcx counts down and is compared whole in 64-bit code. */
const loop =
  (cc: number | undefined) =>
  (cx: Context): void => {
    const count = cx.f.let(zeroExtend(cx.stack, i64.sub(cx.gpr(REG.rcx, cx.stack), i64.const(1))));
    const more = i64.ne(count, i64.const(0));
    const taken = cx.f.let(cc === undefined ? more : i32.and(more, cx.flags.condition(cc)));
    cx.setGpr(REG.rcx, count, cx.stack);
    cx.f.if(taken, () => cx.jumpRelative());
  };

const ret = (cx: Context): void => {
  const target = cx.top(cx.stack);
  const immediate = cx.places.length > 0 ? cx.read(0) : i64.const(0);
  cx.drop(i64.add(immediate, i64.const(cx.stack)));
  cx.jump(target);
};

export const branch: Row[] = [
  row(
    'j',
    ['70cc Jb', '0f 80cc Jz'],
    (cx) => {
      cx.f.if(cx.flags.condition(cx.cc), () => cx.jumpRelative());
    },
    { cc: true, force64: true, near: true },
  ),
  row('jmp', ['eb Jb', 'e9 Jz'], (cx) => cx.jumpRelative(), { force64: true, near: true, ends: true }),
  row(
    'call',
    ['e8 Jz'],
    (cx) => {
      cx.push(cx.nextRip(), cx.stack);
      cx.jumpRelative();
    },
    { force64: true, near: true, ends: true },
  ),
  row('ret', ['c3', 'c2 Iw'], ret, { force64: true, ends: true }),
  row('jmp', ['ff/4 Ev'], (cx) => cx.jump(cx.read(0)), { force64: true, ends: true }),
  row(
    'call',
    ['ff/2 Ev'],
    (cx) => {
      const target = cx.read(0);
      cx.push(cx.nextRip(), cx.stack);
      cx.jump(target);
    },
    { force64: true, ends: true },
  ),
  row('loopne', ['e0 Jb'], loop(5), { force64: true }),
  row('loope', ['e1 Jb'], loop(4), { force64: true }),
  row('loop', ['e2 Jb'], loop(undefined), { force64: true }),
  row(
    'jrcxz',
    ['e3 Jb'],
    (cx) => {
      cx.f.if(i64.eqz(cx.gpr(REG.rcx, cx.stack)), () => cx.jumpRelative());
    },
    { force64: true },
  ),
];
