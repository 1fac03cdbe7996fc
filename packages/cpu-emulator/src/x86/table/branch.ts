import { type I32, type I64, i32, i64, select } from '@xenolith/wasm-builder';
import { RECORD } from '../../core/record.js';
import { type Row, row } from '../row.js';
import type { Context } from '../semantics.js';
import { FLAG, REG, STATE } from '../state.js';
import { inAddressSize } from './implicit.js';

/** LOOPNE, LOOPE, LOOP: rcx counts down and is compared whole. */
const loop =
  (cc: number | undefined) =>
  (cx: Context): void => {
    const count = inAddressSize(cx, i64.sub(cx.gpr(REG.rcx), i64.const(1)));
    const more = i64.ne(count, i64.const(0));
    const taken = cx.f.let(cc === undefined ? more : i32.and(more, cx.flags.condition(cc)));
    // CX keeps what stands above it; ECX does not.
    const narrow = i32.eq(i32.load8_u(cx.site.record, RECORD.scale), i32.const(2));
    const kept = i64.and(cx.gpr(REG.rcx), i64.const(-0x1_0000));
    cx.f.if(taken, () => cx.requireNearCanonical());
    cx.setGpr(REG.rcx, select(narrow, i64.or(kept, count), count));
    cx.f.if(taken, () => cx.jumpRelative());
  };

const ret = (cx: Context): void => {
  const target = cx.requireCanonical(cx.top(cx.size));
  const immediate = cx.places.length > 0 ? cx.read(0) : i64.const(0);
  cx.drop(i64.add(immediate, i64.const(cx.size)));
  cx.jump(target);
};

const selector = (segment: 1 | 2): I64 => i64.load16_u(i32.const(STATE.selectors + 2 * segment));
const same = (v: I64, segment: 1 | 2): I32 => i64.eq(i64.and(v, i64.const(0xffff)), selector(segment));

/** RETF to the code segment that runs already; any other needs descriptors, which are the hypervisor's. */
const retf = (cx: Context): void => {
  const frame = cx.f.let(cx.stackPointer());
  const target = cx.requireCanonical(cx.load(frame, cx.size));
  const cs = cx.load(i64.add(frame, i64.const(cx.size)), cx.size);
  cx.f.if(i32.eqz(same(cs, 1)), () => cx.site.exit());
  const immediate = cx.places.length > 0 ? cx.read(0) : i64.const(0);
  cx.drop(i64.add(immediate, i64.const(2 * cx.size)));
  cx.jump(target);
};

/** IRETQ within the segments that run already: what kernels use to serialize. All else is the hypervisor's. */
const iret = (cx: Context): void => {
  if (cx.size !== 8) {
    cx.site.exit();
    return;
  }
  const { f } = cx;
  const frame = f.let(cx.stackPointer());
  const [rip, cs, flags, rsp, ss] = [0, 1, 2, 3, 4].map((i) =>
    cx.load(i64.add(frame, i64.const(8 * i)), 8),
  ) as [I64, I64, I64, I64, I64];
  // Neither is single stepping begun here.
  const stays = i32.and(same(cs, 1), same(ss, 2));
  f.if(i32.or(i32.eqz(stays), i32.and(i32.wrap(flags), i32.const(FLAG.tf))), () => cx.site.exit());
  const target = cx.requireCanonical(rip);
  cx.setRflags(i32.wrap(flags), 8);
  cx.setGpr(REG.rsp, rsp);
  cx.jump(target);
};

export const branch: Row[] = [
  row('retf', ['cb', 'ca Iw'], retf, { ends: true, implicitAddress: true }),
  row('iret', ['cf'], iret, { ends: true, implicitAddress: true }),
  row(
    'j',
    ['70cc Jb', '0f 80cc Jz'],
    (cx) => {
      cx.f.if(cx.flags.condition(cx.cc), () => {
        cx.requireNearCanonical();
        cx.jumpRelative();
      });
    },
    { cc: true, force64: true, near: true },
  ),
  row(
    'jmp',
    ['eb Jb', 'e9 Jz'],
    (cx) => {
      cx.requireNearCanonical();
      cx.jumpRelative();
    },
    { force64: true, near: true, ends: true },
  ),
  row(
    'call',
    ['e8 Jz'],
    (cx) => {
      cx.requireNearCanonical();
      cx.push(cx.nextRip(), cx.size);
      cx.jumpRelative();
    },
    { force64: true, near: true, ends: true },
  ),
  row('ret', ['c3', 'c2 Iw'], ret, { force64: true, ends: true }),
  row('jmp', ['ff/4 Ev'], (cx) => cx.jump(cx.requireCanonical(cx.read(0))), { force64: true, ends: true }),
  row(
    'call',
    ['ff/2 Ev'],
    (cx) => {
      const target = cx.requireCanonical(cx.read(0));
      cx.push(cx.nextRip(), cx.size);
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
      cx.f.if(i64.eqz(inAddressSize(cx, cx.gpr(REG.rcx))), () => {
        cx.requireNearCanonical();
        cx.jumpRelative();
      });
    },
    { force64: true },
  ),
];
