import { i32, i64 } from '@xenolith/wasm-builder';
import { type Row, row } from '../row.js';
import type { Context } from '../semantics.js';
import { gprSlot, REG, STATE } from '../state.js';
import { enterMmx, raisePending } from './mmx-state.js';

const at = (address: number) => i32.const(address);
const word = (address: number) => i64.load16_u(at(address));

/** The x87 control instructions and FXSAVE/FXRSTOR, which every kernel executes; x87 arithmetic is not there yet (#UD). */
const fninit = (cx: Context): void => {
  cx.f.store16(at(STATE.fcw), 0, i32.const(0x37f));
  cx.f.store16(at(STATE.fsw), 0, i32.const(0));
  cx.f.store16(at(STATE.ftw), 0, i32.const(0));
};

/**
 * FXSAVE's 512 bytes (Intel SDM volume 1, section 10.5.1): x87 state in the first 32, ST registers at 32, XMM at 160.
 * `ftw` holds the abridged tag word, one bit for each register that is in use.
 */
const fxsave = (cx: Context): void => {
  const { f } = cx;
  const address = f.let(cx.address(0));
  cx.requireAligned(address, 16);
  // Both ends first, so that a fault leaves nothing half written.
  cx.finishWrite(cx.writable(address, 8));
  cx.finishWrite(cx.writable(i64.add(address, i64.const(504)), 8));
  const put = (offset: number, v: Parameters<Context['storeTo']>[2]): void =>
    cx.storeTo(i64.add(address, i64.const(offset)), 8, v);
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
  for (let i = 0; i < 16; i++) put(32 + 8 * i, i64.load(at(STATE.x87 + 8 * i)));
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
  f.store64(at(STATE.fcw), 0, control, 4);
  f.store64(at(STATE.ftw), 0, i64.and(i64.shr_u(control, i64.const(32)), i64.const(0xff)), 2);
  f.store64(at(STATE.mxcsr), 0, mxcsr, 4);
  for (let i = 0; i < 16; i++) f.scope(() => f.store64(at(STATE.x87 + 8 * i), 0, get(32 + 8 * i)));
  for (let i = 0; i < 32; i++) f.scope(() => f.store64(at(STATE.xmm + 8 * i), 0, get(160 + 8 * i)));
};

const emms = (cx: Context): void => {
  raisePending(cx);
  enterMmx(cx);
  cx.f.store16(at(STATE.ftw), 0, i32.const(0));
};

export const x87: Row[] = [
  row('fwait', ['9b'], () => {}, { fpu: true }),
  row('fninit', ['db=e3'], fninit, { fpu: true }),
  row(
    'fnclex',
    ['db=e2'],
    (cx) => {
      cx.f.store16(at(STATE.fsw), 0, i32.and(i32.load16_u(at(STATE.fsw)), i32.const(0x7f00)));
    },
    { fpu: true },
  ),
  row('fnstcw', ['d9/7m Mw'], (cx) => cx.write(0, cx.f.let(word(STATE.fcw))), { fpu: true }),
  row(
    'fldcw',
    ['d9/5m Mw'],
    (cx) => {
      const v = cx.read(0);
      cx.f.store64(at(STATE.fcw), 0, v, 2);
    },
    { fpu: true },
  ),
  row('fnstsw', ['dd/7m Mw'], (cx) => cx.write(0, cx.f.let(word(STATE.fsw))), { fpu: true }),
  row('fnstsw', ['df=e0'], (cx) => cx.writeSlot(at(gprSlot(REG.rax)), 2, word(STATE.fsw)), { fpu: true }),
  row('emms', ['np 0f 77'], emms, { fpu: true }),
  row('fxsave', ['np 0f ae/0m M'], fxsave, { fpu: true }),
  row('fxrstor', ['np 0f ae/1m M'], fxrstor, { fpu: true }),
];
