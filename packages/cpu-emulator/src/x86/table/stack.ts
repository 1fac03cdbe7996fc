import { type I64, i32, i64 } from '@xenolith/wasm-builder';
import { RECORD } from '../../core/record.js';
import { zeroExtend } from '../flags.js';
import { type Row, row } from '../row.js';
import type { Context } from '../semantics.js';
import { ARITHMETIC_FLAGS, FLAG, REG, STATE } from '../state.js';

const popf = (cx: Context): void => {
  const flags = cx.f.let(i32.wrap(cx.top(cx.size)));
  cx.setRflags(flags, cx.size);
  cx.drop(i64.const(cx.size));
  // Single stepping begins behind the next instruction, which the processor runs alone.
  cx.f.if(i32.and(flags, i32.const(FLAG.tf)), () => cx.site.exitAfter());
};

/** A segment register, with zeros above. */
const pushSelector = (cx: Context): void => {
  const index = i32.load16_u(cx.site.record, RECORD.aux);
  const selector = i64.load16_u(i32.add(i32.const(STATE.selectors), i32.shl(index, i32.const(1))));
  cx.push(cx.f.let(selector), cx.size);
};

export const stack: Row[] = [
  row('push', ['50+ Ov', 'ff/6 Ev', '68 Iz', '6a sIb'], (cx) => cx.push(cx.read(0), cx.size), {
    default64: true,
  }),
  row(
    'pop',
    ['58+ Ov'],
    (cx) => {
      const v = cx.top(cx.size);
      cx.drop(i64.const(cx.size));
      cx.write(0, v);
    },
    { default64: true },
  ),
  row(
    'pop',
    ['8f/0 Ev'],
    (cx) => {
      // An address with rsp is meant behind the pop: the block builder has moved its displacement.
      const v = cx.top(cx.size);
      if (cx.isMemory(0)) {
        cx.write(0, v);
        cx.drop(i64.const(cx.size));
      } else {
        cx.drop(i64.const(cx.size));
        cx.write(0, v);
      }
    },
    { default64: true },
  ),
  row(
    'pushf',
    ['9c'],
    (cx) => {
      const flags = i32.or(
        i32.or(cx.flags.gather(), i32.const(2)),
        i32.and(cx.systemFlags(), i32.const(~(ARITHMETIC_FLAGS | FLAG.rf))),
      );
      cx.push(cx.f.let(i64.extend_u(flags)), cx.size);
    },
    { default64: true },
  ),
  row('popf', ['9d'], popf, { default64: true }),
  row(
    'leave',
    ['c9'],
    (cx) => {
      const frame = cx.f.let(cx.gpr(REG.rbp, cx.stack));
      const saved = cx.load(frame, cx.size);
      cx.setGpr(REG.rsp, i64.add(frame, i64.const(cx.size)), cx.stack);
      cx.setGpr(REG.rbp, saved, cx.size);
    },
    { default64: true },
  ),
  row(
    'enter',
    ['c8 Iw'],
    (cx) => {
      const { f } = cx;
      // The second immediate stands in the upper half: how many frame pointers of enclosing procedures are copied.
      const level = f.let(i64.and(i64.shr_u(cx.read(0), i64.const(16)), i64.const(31)));
      const step = i64.const(cx.size);
      const at = (v: I64): I64 => zeroExtend(cx.stack, v);
      const top = f.local('i64');
      const push = (v: I64): void => {
        f.set(top, at(i64.sub(top, step)));
        cx.storeTo(top, cx.size, v);
      };
      f.set(top, cx.stackPointer());
      push(cx.gpr(REG.rbp, cx.size));
      const frame = f.let(i64.add(top, i64.const(0)));
      f.if(i64.ne(level, i64.const(0)), () => {
        const left = f.local('i64');
        const from = f.local('i64');
        f.set(left, i64.sub(level, i64.const(1)));
        f.set(from, cx.gpr(REG.rbp, cx.stack));
        f.block((end) => {
          f.loop((next) => {
            f.brIf(end, i64.eqz(left));
            f.set(from, at(i64.sub(from, step)));
            push(cx.load(from, cx.size));
            f.set(left, i64.sub(left, i64.const(1)));
            f.br(next);
          });
        });
        push(frame);
      });
      cx.setGpr(REG.rbp, frame, cx.size);
      cx.setGpr(REG.rsp, i64.sub(top, i64.and(cx.read(0), i64.const(0xffff))), cx.stack);
    },
    { default64: true },
  ),
  row('push', ['0f a0', '0f a8'], pushSelector, { default64: true }),
  row('push', ['06', '0e', '16', '1e'], pushSelector, { default64: true, mode: 32 }),
];
