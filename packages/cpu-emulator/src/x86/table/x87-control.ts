import { type I32, type I64, i32, i64 } from '@xenolith/wasm-builder';
import { type Row, row } from '../row.js';
import type { Context } from '../semantics.js';
import { gprSlot, mmxSlot, REG, STATE } from '../state.js';
import { enterMmx, raisePending } from './mmx-state.js';

const at = (address: number): I32 => i32.const(address);
const word = (address: number): I64 => i64.load16_u(at(address));
const fpu = { fpu: true } as const;

const initialize = (cx: Context): void => {
  cx.f.store16(at(STATE.fcw), 0, i32.const(0x37f));
  cx.f.store16(at(STATE.fsw), 0, i32.const(0));
  cx.f.store16(at(STATE.ftw), 0, i32.const(0));
};

/** The slot of ST(i). */
const slotOf = (i: number): I32 => {
  const top = i32.shr_u(i32.load16_u(at(STATE.fsw)), i32.const(11));
  const register = i32.and(i32.add(top, i32.const(i)), i32.const(7));
  return i32.add(i32.shl(register, i32.const(4)), at(mmxSlot(0)));
};

/** Both ends of a long operand, so that a fault leaves nothing half written. */
const probe = (cx: Context, address: I64, size: number): void => {
  for (const end of [0, size - 2]) cx.finishWrite(cx.writable(i64.add(address, i64.const(end)), 2));
};

/**
 * The environment as FSTENV and FSAVE store it: 14 or 28 bytes by the operand size, protected mode's layout (Intel SDM volume 1, figures
 * 8-9 and 8-11). The pointers to the last instruction and its operand are not kept and are zeros.
 */
const storeEnvironment = (cx: Context, address: I64): number => {
  const wide = cx.size !== 2;
  const size = wide ? 4 : 2;
  const tags = cx.f.let(i64.extend_u(cx.x87Tags()));
  const filled = (v: I64): I64 => (wide ? i64.or(v, i64.const(0xffff_0000n)) : v);
  const zero = i64.const(0);
  const fields = [
    filled(word(STATE.fcw)),
    filled(word(STATE.fsw)),
    filled(tags),
    zero,
    zero,
    zero,
    filled(zero),
  ];
  for (const [i, v] of fields.entries()) cx.storeTo(i64.add(address, i64.const(size * i)), size, v);
  return size * fields.length;
};

const loadEnvironment = (cx: Context, address: I64): number => {
  const { f } = cx;
  const size = cx.size === 2 ? 2 : 4;
  // The last field first: nothing is changed before what can fault.
  cx.load(i64.add(address, i64.const(size * 6)), size);
  const [control, status, tags] = [0, 1, 2].map((i) =>
    i32.wrap(cx.load(i64.add(address, i64.const(size * i)), 2)),
  ) as [I32, I32, I32];
  f.store16(at(STATE.fcw), 0, i32.or(i32.and(control, i32.const(0x1f3f)), i32.const(0x40)));
  f.store16(at(STATE.fsw), 0, status);
  const used = f.local('i32');
  f.set(used, i32.const(0));
  for (let i = 0; i < 8; i++) {
    const tag = i32.and(i32.shr_u(tags, i32.const(2 * i)), i32.const(3));
    f.set(used, i32.or(used, i32.shl(i32.ne(tag, i32.const(3)), i32.const(i))));
  }
  f.store16(at(STATE.ftw), 0, used);
  cx.x87('nothing');
  return size * 7;
};

const REGISTERS = 80;

const fnsave = (cx: Context): void => {
  const address = cx.f.let(cx.address(0));
  probe(cx, address, (cx.size === 2 ? 14 : 28) + REGISTERS);
  const start = storeEnvironment(cx, address);
  for (let i = 0; i < 8; i++) {
    cx.f.scope(() => {
      const to = i64.add(address, i64.const(start + 10 * i));
      const slot = cx.f.let(slotOf(i));
      cx.storeTo(to, 8, i64.load(slot));
      cx.storeTo(i64.add(to, i64.const(8)), 2, i64.load16_u(slot, 8));
    });
  }
  initialize(cx);
};

const frstor = (cx: Context): void => {
  raisePending(cx);
  const address = cx.f.let(cx.address(0));
  const start = cx.size === 2 ? 14 : 28;
  cx.load(i64.add(address, i64.const(start + REGISTERS - 2)), 2);
  loadEnvironment(cx, address);
  for (let i = 0; i < 8; i++) {
    cx.f.scope(() => {
      const from = i64.add(address, i64.const(start + 10 * i));
      const low = cx.load(from, 8);
      const high = cx.load(i64.add(from, i64.const(8)), 2);
      const slot = cx.f.let(slotOf(i));
      cx.f.store64(slot, 0, low);
      cx.f.store64(slot, 8, high, 2);
    });
  }
};

/**
 * FXSAVE's 512 bytes (Intel SDM volume 1, section 10.5.1): x87 state in the first 32, ST(0) … ST(7) at 32, XMM at 160. The
 * tag word has one bit for each physical register.
 */
const fxsave = (cx: Context): void => {
  const { f } = cx;
  const address = f.let(cx.address(0));
  cx.requireAligned(address, 16);
  probe(cx, address, 512);
  const put = (offset: number, v: I64): void => cx.storeTo(i64.add(address, i64.const(offset)), 8, v);
  put(
    0,
    i64.or(
      word(STATE.fcw),
      i64.or(i64.shl(word(STATE.fsw), i64.const(16)), i64.shl(word(STATE.ftw), i64.const(32))),
    ),
  );
  put(8, i64.const(0));
  put(16, i64.const(0));
  put(24, i64.or(i64.load32_u(at(STATE.mxcsr)), i64.const(0xffffn << 32n)));
  for (let i = 0; i < 8; i++) {
    f.scope(() => {
      const slot = f.let(slotOf(i));
      put(32 + 16 * i, i64.load(slot));
      put(40 + 16 * i, i64.load16_u(slot, 8));
    });
  }
  for (let i = 0; i < 32; i++) put(160 + 8 * i, i64.load(at(STATE.xmm + 8 * i)));
};

const fxrstor = (cx: Context): void => {
  const { f } = cx;
  const address = f.let(cx.address(0));
  cx.requireAligned(address, 16);
  const get = (offset: number) => cx.load(i64.add(address, i64.const(offset)), 8);
  const mxcsr = f.let(i64.and(get(24), i64.const(0xffff_ffff)));
  f.if(i64.ne(i64.and(mxcsr, i64.const(0xffff_0000)), i64.const(0)), () => cx.raise(13, 0));
  get(504 - 8);
  const control = get(0);
  f.store64(at(STATE.fcw), 0, i64.or(i64.and(control, i64.const(0xffff_1f3fn)), i64.const(0x40)), 4);
  f.store64(at(STATE.ftw), 0, i64.and(i64.shr_u(control, i64.const(32)), i64.const(0xff)), 2);
  f.store64(at(STATE.mxcsr), 0, mxcsr, 4);
  for (let i = 0; i < 8; i++) {
    f.scope(() => {
      const slot = f.let(slotOf(i));
      f.store64(slot, 0, get(32 + 16 * i));
      f.store64(slot, 8, get(40 + 16 * i), 2);
    });
  }
  for (let i = 0; i < 32; i++) f.scope(() => f.store64(at(STATE.xmm + 8 * i), 0, get(160 + 8 * i)));
  cx.x87('nothing');
};

const emms = (cx: Context): void => {
  raisePending(cx);
  enterMmx(cx);
  cx.f.store16(at(STATE.ftw), 0, i32.const(0));
};

/** State as a whole. The instructions whose names begin with FN, FXSAVE and FXRSTOR do not wait for pending exceptions. */
export const x87Control: Row[] = [
  row('fwait', ['9b'], raisePending, fpu),
  row('fninit', ['db=e3'], initialize, fpu),
  row(
    'fnclex',
    ['db=e2'],
    (cx) => cx.f.store16(at(STATE.fsw), 0, i32.and(i32.load16_u(at(STATE.fsw)), i32.const(0x7f00))),
    fpu,
  ),
  // Of the 8087 and 80287: interrupts and the protected mode are no longer the unit's business.
  row('fneni', ['db=e0'], () => {}, fpu),
  row('fndisi', ['db=e1'], () => {}, fpu),
  row('fnsetpm', ['db=e4'], () => {}, fpu),
  row('fnstcw', ['d9/7m Mw'], (cx) => cx.write(0, cx.f.let(word(STATE.fcw))), fpu),
  row(
    'fldcw',
    ['d9/5m Mw'],
    (cx) => {
      raisePending(cx);
      const v = i32.wrap(cx.read(0));
      cx.f.store16(at(STATE.fcw), 0, i32.or(i32.and(v, i32.const(0x1f3f)), i32.const(0x40)));
      cx.x87('nothing');
    },
    fpu,
  ),
  row('fnstsw', ['dd/7m Mw'], (cx) => cx.write(0, cx.f.let(word(STATE.fsw))), fpu),
  row('fnstsw', ['df=e0'], (cx) => cx.writeSlot(at(gprSlot(REG.rax)), 2, word(STATE.fsw)), fpu),
  row(
    'fnstenv',
    ['d9/6m M'],
    (cx) => {
      const address = cx.f.let(cx.address(0));
      probe(cx, address, cx.size === 2 ? 14 : 28);
      storeEnvironment(cx, address);
      cx.f.store16(at(STATE.fcw), 0, i32.or(i32.load16_u(at(STATE.fcw)), i32.const(0x3f)));
      cx.x87('nothing');
    },
    fpu,
  ),
  row(
    'fldenv',
    ['d9/4m M'],
    (cx) => {
      raisePending(cx);
      loadEnvironment(cx, cx.f.let(cx.address(0)));
    },
    fpu,
  ),
  row('fnsave', ['dd/6m M'], fnsave, fpu),
  row('frstor', ['dd/4m M'], frstor, fpu),
  row('emms', ['np 0f 77'], emms, fpu),
  row('fxsave', ['np 0f ae/0m M'], fxsave, fpu),
  row('fxrstor', ['np 0f ae/1m M'], fxrstor, fpu),
];
