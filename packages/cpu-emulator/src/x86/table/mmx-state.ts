import { type I64, i32 } from '@xenolith/wasm-builder';
import type { Context } from '../semantics.js';
import { STATE } from '../state.js';

const at = (address: number) => i32.const(address);
/** Status word: an exception that is not masked is pending; the number of the register that is ST(0). */
const PENDING = 0x80;
const TOP = 0x3800;

/** #MF, in front of an instruction that waits for the x87 unit, when an exception is pending. */
export function raisePending(cx: Context): void {
  cx.f.if(i32.and(i32.load16_u(at(STATE.fsw)), i32.const(PENDING)), () => cx.raise(16));
}

/** What every MMX instruction but EMMS leaves: R0 is ST(0), and all registers are in use. */
export function enterMmx(cx: Context): void {
  cx.f.store16(at(STATE.fsw), 0, i32.and(i32.load16_u(at(STATE.fsw)), i32.const(~TOP)));
  cx.f.store16(at(STATE.ftw), 0, i32.const(0xff));
}

/** Writes an MMX register; the exponent of the x87 register that it lies in becomes all ones. */
export function setMmx(cx: Context, i: number, v: I64): void {
  cx.f.store64(cx.slot(i), 0, v);
  cx.f.store16(cx.slot(i), 8, i32.const(0xffff));
}
