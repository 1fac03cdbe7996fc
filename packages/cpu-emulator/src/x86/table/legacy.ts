import { type I32, type I64, i32, i64, select } from '@xenolith/wasm-builder';
import { signExtend, zeroExtend } from '../flags.js';
import { type Row, row } from '../row.js';
import type { Context } from '../semantics.js';
import { FLAG, gprSlot, REG } from '../state.js';

/* What 64-bit mode took away: decimal arithmetic, PUSHA and POPA, BOUND, ARPL. */

const AL = i32.const(gprSlot(REG.rax));
const al = (): I64 => i64.load8_u(AL);
const ah = (): I64 => i64.load8_u(AL, 1);
const above9 = (v: I64): I32 => i64.gt_u(i64.and(v, i64.const(15)), i64.const(9));
const CF_AF = FLAG.cf | FLAG.af;

/** DAA and DAS: AL becomes two decimal digits again after an addition or subtraction of such. */
const decimalAdjust =
  (add: boolean) =>
  (cx: Context): void => {
    const { f } = cx;
    const old = f.let(al());
    const cf = f.let(cx.flags.cf());
    const low = f.let(i32.or(above9(old), cx.flags.af()));
    const high = f.let(i32.or(i64.gt_u(old, i64.const(0x99)), cf));
    const correction = i64.add(
      select(low, i64.const(6), i64.const(0)),
      select(high, i64.const(0x60), i64.const(0)),
    );
    // DAS also borrows out of a small AL whose low digit is corrected.
    const carry = add ? high : f.let(i32.or(high, i32.and(low, i64.lt_u(old, i64.const(6)))));
    const r = f.let(zeroExtend(1, add ? i64.add(old, correction) : i64.sub(old, correction)));
    f.store64(AL, 0, r, 1);
    cx.flags.result(1, r, f.let(i32.or(carry, i32.shl(low, i32.const(4)))));
  };

/** AAA and AAS: one decimal digit in AL, the carry in AH. The six goes into AX as a whole. */
const digitAdjust =
  (add: boolean) =>
  (cx: Context): void => {
    const { f } = cx;
    const carry = f.let(i32.or(above9(al()), cx.flags.af()));
    const ax = f.let(i64.load16_u(AL));
    const six = i64.const(add ? 0x106 : -0x106);
    const adjusted = f.let(select(carry, i64.add(ax, six), ax));
    f.store64(AL, 0, i64.and(adjusted, i64.const(0xff0f)), 2);
    cx.flags.change(CF_AF, i32.mul(carry, i32.const(CF_AF)));
  };

const splitDigits = (cx: Context): void => {
  const { f } = cx;
  const base = f.let(i64.and(cx.imm(), i64.const(0xff)));
  f.if(i64.eqz(base), () => cx.raise(0));
  const old = f.let(al());
  const low = f.let(i64.rem_u(old, base));
  f.store64(AL, 0, low, 1);
  f.store64(AL, 1, i64.div_u(old, base), 1);
  cx.flags.logic(1, low);
};
const joinDigits = (cx: Context): void => {
  const { f } = cx;
  const base = i64.and(cx.imm(), i64.const(0xff));
  const r = f.let(zeroExtend(1, i64.add(al(), i64.mul(ah(), base))));
  f.store64(AL, 0, r, 2);
  cx.flags.logic(1, r);
};

const pushAll = (cx: Context): void => {
  const { f, size } = cx;
  const old = f.let(cx.stackPointer());
  const bottom = f.let(zeroExtend(4, i64.sub(old, i64.const(8 * size))));
  // Both ends first, so that a fault leaves nothing half done.
  for (const end of [0, 7]) cx.finishWrite(cx.writable(i64.add(bottom, i64.const(end * size)), size));
  for (let i = 0; i < 8; i++) cx.storeTo(i64.add(bottom, i64.const((7 - i) * size)), size, cx.gpr(i, size));
  cx.setGpr(REG.rsp, bottom, 4);
};
const popAll = (cx: Context): void => {
  const { f, size } = cx;
  const bottom = f.let(cx.stackPointer());
  const values = Array.from({ length: 8 }, (_, i) =>
    cx.load(zeroExtend(4, i64.add(bottom, i64.const((7 - i) * size))), size),
  );
  for (const [i, v] of values.entries()) if (i !== REG.rsp) cx.setGpr(i, v, size);
  cx.setGpr(REG.rsp, i64.add(bottom, i64.const(8 * size)), 4);
};

const bound = (cx: Context): void => {
  const { f, size } = cx;
  const address = f.let(cx.address(1));
  const index = f.let(signExtend(size, cx.read(0)));
  const lower = cx.load(address, size);
  const upper = cx.load(i64.add(address, i64.const(size)), size);
  const outside = i32.or(i64.lt_s(index, signExtend(size, lower)), i64.gt_s(index, signExtend(size, upper)));
  f.if(outside, () => cx.raise(5));
};

/** ARPL: raises the privilege level in a selector to that of another. */
const adjustLevel = (cx: Context): void => {
  const { f } = cx;
  const level = (v: I64): I64 => i64.and(v, i64.const(3));
  const source = cx.read(1);
  const place = cx.modify(0);
  const lower = f.let(i64.lt_u(level(place.value), level(source)));
  const raised = i64.or(i64.and(place.value, i64.const(~3)), level(source));
  place.set(f.let(select(lower, raised, place.value)));
  cx.flags.change(FLAG.zf, i32.mul(lower, i32.const(FLAG.zf)));
};

const in32 = { mode: 32 } as const;
export const legacy: Row[] = [
  row('daa', ['27'], decimalAdjust(true), in32),
  row('das', ['2f'], decimalAdjust(false), in32),
  row('aaa', ['37'], digitAdjust(true), in32),
  row('aas', ['3f'], digitAdjust(false), in32),
  row('aam', ['d4 Ib'], splitDigits, in32),
  row('aad', ['d5 Ib'], joinDigits, in32),
  row(
    'salc',
    ['d6'],
    (cx) => cx.f.store64(AL, 0, i64.sub(i64.const(0), i64.extend_u(cx.flags.cf())), 1),
    in32,
  ),
  row('pusha', ['60'], pushAll, { ...in32, default64: true }),
  row('popa', ['61'], popAll, { ...in32, default64: true }),
  row('bound', ['62m Gv,M'], bound, in32),
  row('arpl', ['63 Ew,Gw'], adjustLevel, in32),
];
