import {
  callExpr,
  type FunctionBuilder,
  type FunctionRef,
  type I32,
  type I64,
  i32,
  i64,
  type ModuleBuilder,
  select,
} from '@xenolith/wasm-builder';
import type { Site } from '../core/handler.js';
import { ARITHMETIC_FLAGS, FLAG, STATE } from './state.js';

/**
 * Lazy flags. Most instructions leave only what the flags can be computed from:
 *
 *   kind bits      all six stand in flagBits
 *   kind result    ZF SF PF from flagResult; CF OF AF stand in flagBits
 *   kind logic     ZF SF PF from flagResult; CF OF AF are 0
 *   kind add, sub  from flagResult and flagOperand (the first operand), one kind for each operand size
 *   kind inc, dec  OF AF ZF SF PF from flagResult, one kind for each operand size; CF is what the operation before left:
 *                  its kind, result and operand stand in the carry* fields, its bits still in flagBits
 *
 * flagResult is sign-extended from the operand size to 64 bits.
 */
export const KIND = { bits: 0, result: 1, logic: 2, add: 3, sub: 7, inc: 11, dec: 15 } as const;
const sizeIndex = (size: number): number => Math.log2(size);

export type Size = 1 | 2 | 4 | 8;
/** Condition codes 0–15 as in Jcc's opcode: o b e be s p l le and each one's negation. */
export type ConditionCode = number;

/** Those that stand in flagBits with kind result. */
const BESIDE_RESULT = FLAG.cf | FLAG.of | FLAG.af;

const at = (address: number): I32 => i32.const(address);
export const signExtend = (size: number, v: I64): I64 =>
  size === 8 ? v : size === 4 ? i64.extend32_s(v) : size === 2 ? i64.extend16_s(v) : i64.extend8_s(v);
export const zeroExtend = (size: number, v: I64): I64 =>
  size === 8 ? v : size === 4 ? i64.extend_u(i32.wrap(v)) : i64.and(v, i64.const(size === 2 ? 0xffff : 0xff));

/** Functions of the module that gather flags: each () → i32, 0 or 1 but for `gather`, which gives all six in place. */
export interface FlagFunctions {
  cf: FunctionRef;
  of: FunctionRef;
  af: FunctionRef;
  zf: FunctionRef;
  sf: FunctionRef;
  pf: FunctionRef;
  gather: FunctionRef;
}

export function emitFlagFunctions(m: ModuleBuilder): FlagFunctions {
  const bits = i32.load(at(STATE.flagBits));
  const result = i64.load(at(STATE.flagResult));
  const bit = (mask: number): I32 => i32.ne(i32.and(bits, i32.const(mask)), i32.const(0));

  interface Source {
    kind: I32;
    result: I64;
    operand: I64;
  }
  const last: Source = {
    kind: i32.load(at(STATE.flagKind)),
    result,
    operand: i64.load(at(STATE.flagOperand)),
  };
  const { kind } = last;
  const beforeStep: Source = {
    kind: i32.load(at(STATE.carryKind)),
    result: i64.load(at(STATE.carryResult)),
    operand: i64.load(at(STATE.carryOperand)),
  };
  /** Moves the operand size's sign bit to bit 63: by 56, 48, 32, 0 for a kind's four sizes. */
  const shift = (s: Source): I64 =>
    i64.extend_u(
      i32.sub(
        i32.const(64),
        i32.shl(i32.const(8), i32.and(i32.sub(s.kind, i32.const(KIND.add)), i32.const(3))),
      ),
    );
  const at63 = (s: Source, v: I64): I64 => i64.shl(v, shift(s));
  const otherAdd = (s: Source): I64 => i64.sub(s.result, s.operand);
  const otherSub = (s: Source): I64 => i64.sub(s.operand, s.result);

  /** A flag of the kinds below inc. */
  const fromBoth = (f: FunctionBuilder, s: Source, mask: number, add: I32, sub: I32): void => {
    f.if(i32.le_u(s.kind, i32.const(KIND.result)), () => f.return(bit(mask)));
    f.if(i32.eq(s.kind, i32.const(KIND.logic)), () => f.return(i32.const(0)));
    f.if(i32.ge_u(s.kind, i32.const(KIND.sub)), () => f.return(sub));
    f.return(add);
  };
  const carry = (f: FunctionBuilder, s: Source): void =>
    fromBoth(
      f,
      s,
      FLAG.cf,
      i64.lt_u(at63(s, s.result), at63(s, s.operand)),
      i64.lt_u(at63(s, s.operand), at63(s, otherSub(s))),
    );
  const stepped = i32.ge_u(kind, i32.const(KIND.inc));
  const isDec = i32.ge_u(kind, i32.const(KIND.dec));
  const cf = m.function([], ['i32'], (f) => {
    f.if(stepped, () => carry(f, beforeStep));
    carry(f, last);
    f.unreachable();
  });
  const of = m.function([], ['i32'], (f) => {
    // INC overflows to the most negative value, DEC to the most positive one.
    const edge = select(isDec, i64.const((1n << 63n) - 1n), i64.const(1n << 63n));
    f.if(stepped, () => f.return(i64.eq(at63(last, result), at63(last, i64.shr_s(edge, shift(last))))));
    const s = last;
    fromBoth(
      f,
      s,
      FLAG.of,
      i64.lt_s(at63(s, i64.and(i64.xor(s.operand, result), i64.xor(otherAdd(s), result))), i64.const(0)),
      i64.lt_s(at63(s, i64.and(i64.xor(s.operand, otherSub(s)), i64.xor(s.operand, result))), i64.const(0)),
    );
    f.unreachable();
  });
  const carry4 = (s: Source, other: I64): I32 =>
    i32.and(i32.shr_u(i32.wrap(i64.xor(i64.xor(s.operand, other), result)), i32.const(4)), i32.const(1));
  const af = m.function([], ['i32'], (f) => {
    const low = i32.and(i32.wrap(result), i32.const(15));
    f.if(stepped, () => f.return(i32.eq(low, select(isDec, i32.const(15), i32.const(0)))));
    fromBoth(f, last, FLAG.af, carry4(last, otherAdd(last)), carry4(last, otherSub(last)));
    f.unreachable();
  });

  const fromResult = (mask: number, value: I32): FunctionRef =>
    m.function([], ['i32'], (f) => {
      f.if(i32.eqz(kind), () => f.return(bit(mask)));
      f.push(value);
    });
  const zf = fromResult(FLAG.zf, i64.eqz(result));
  const sf = fromResult(FLAG.sf, i64.lt_s(result, i64.const(0)));
  const pf = fromResult(FLAG.pf, parity(result));

  const gather = m.function([], ['i32'], (f) => {
    const one = (fn: FunctionRef, mask: number): I32 =>
      i32.shl(callExpr<'i32'>(fn, []), i32.const(Math.log2(mask)));
    f.push(
      [one(of, FLAG.of), one(sf, FLAG.sf), one(zf, FLAG.zf), one(af, FLAG.af), one(pf, FLAG.pf)].reduce(
        (all, flag) => i32.or(all, flag),
        one(cf, FLAG.cf),
      ),
    );
  });
  return { cf, of, af, zf, sf, pf, gather };
}

/** PF: 1 when the low byte has an even number of ones. */
export const parity = (v: I64): I32 =>
  i32.eqz(i32.and(i32.popcnt(i32.and(i32.wrap(v), i32.const(0xff))), i32.const(1)));

/** What the last flag-setting operation of a handler was, so that a fused branch need not go through memory. */
type Last =
  | { kind: 'sub'; size: Size; a: I64; b: I64; r: I64 }
  | { kind: 'add'; size: Size; a: I64; r: I64 }
  | { kind: 'logic' | 'step'; size: Size; r: I64 };

/** The flags as a handler's semantics reads and sets them. Operands are zero-extended to their size. */
export class Flags {
  #last: Last | undefined;
  constructor(
    readonly site: Site,
    readonly functions: FlagFunctions,
  ) {}

  #set(kind: number, size: Size, r: I64): I64 {
    const { f } = this.site;
    const extended = f.let(signExtend(size, r));
    f.store(at(STATE.flagKind), 0, i32.const(kind));
    f.store64(at(STATE.flagResult), 0, extended);
    return extended;
  }

  /** r = a + b */
  add(size: Size, a: I64, r: I64): void {
    const extended = this.#set(KIND.add + sizeIndex(size), size, r);
    this.site.f.store64(at(STATE.flagOperand), 0, a);
    this.#last = { kind: 'add', size, a, r: extended };
  }

  /** r = a − b */
  sub(size: Size, a: I64, b: I64, r: I64): void {
    const extended = this.#set(KIND.sub + sizeIndex(size), size, r);
    this.site.f.store64(at(STATE.flagOperand), 0, a);
    this.#last = { kind: 'sub', size, a, b, r: extended };
  }

  /** r = operand ± 1; CF stays. */
  step(size: Size, delta: 1 | -1, r: I64): void {
    const { f } = this.site;
    const kind = f.let(i32.load(at(STATE.flagKind)));
    f.if(i32.lt_u(kind, i32.const(KIND.inc)), () => {
      f.store(at(STATE.carryKind), 0, kind);
      f.store64(at(STATE.carryResult), 0, i64.load(at(STATE.flagResult)));
      f.store64(at(STATE.carryOperand), 0, i64.load(at(STATE.flagOperand)));
    });
    const extended = this.#set((delta === 1 ? KIND.inc : KIND.dec) + sizeIndex(size), size, r);
    this.#last = { kind: 'step', size, r: extended };
  }

  /** CF = OF = AF = 0 */
  logic(size: Size, r: I64): void {
    this.#last = { kind: 'logic', size, r: this.#set(KIND.logic, size, r) };
  }

  /** ZF, SF and PF from the result; CF, OF and AF given in place (other bits 0). */
  result(size: Size, r: I64, cfOfAf: I32): void {
    this.#set(KIND.result, size, r);
    this.site.f.store(at(STATE.flagBits), 0, cfOfAf);
    this.#last = undefined;
  }

  /** All six in place; other bits are ignored. */
  all(bits: I32): void {
    const { f } = this.site;
    f.store(at(STATE.flagBits), 0, i32.and(bits, i32.const(ARITHMETIC_FLAGS)));
    f.store(at(STATE.flagKind), 0, i32.const(KIND.bits));
    this.#last = undefined;
  }

  /** Changes the flags under `mask` to `bits` and keeps the others. */
  change(mask: number, bits: I32): void {
    if ((mask & ~BESIDE_RESULT) !== 0) {
      const kept = this.site.f.let(i32.and(this.gather(), i32.const(~mask)));
      this.all(i32.or(kept, bits));
    } else this.#changeBesideResult(mask, bits);
  }

  /** Flags that stand beside the result are changed without computing those that come from it. */
  #changeBesideResult(mask: number, bits: I32): void {
    const { f } = this.site;
    const kept = f.local('i32');
    f.if(
      i32.le_u(i32.load(at(STATE.flagKind)), i32.const(KIND.result)),
      () => f.set(kept, i32.and(i32.load(at(STATE.flagBits)), i32.const(~mask))),
      () => {
        const { cf, of, af } = this.functions;
        f.set(kept, i32.const(0));
        for (const [flag, fn] of [
          [FLAG.cf, cf],
          [FLAG.of, of],
          [FLAG.af, af],
        ] as const) {
          if ((mask & flag) !== 0) continue;
          f.set(kept, i32.or(kept, i32.shl(callExpr<'i32'>(fn, []), i32.const(Math.log2(flag)))));
        }
        f.store(at(STATE.flagKind), 0, i32.const(KIND.result));
      },
    );
    f.store(at(STATE.flagBits), 0, i32.or(kept, bits));
    this.#last = undefined;
  }

  gather = (): I32 => callExpr<'i32'>(this.functions.gather, []);
  cf = (): I32 => callExpr<'i32'>(this.functions.cf, []);
  af = (): I32 => callExpr<'i32'>(this.functions.af, []);

  /** The condition now, as 0 or 1. */
  condition(cc: ConditionCode): I32 {
    const positive = this.#fromLast(cc >> 1) ?? this.#fromMemory(cc >> 1);
    return cc & 1 ? i32.eqz(positive) : positive;
  }

  #fromMemory(group: number): I32 {
    const { cf, of, zf, sf, pf } = this.functions;
    const call = (fn: FunctionRef): I32 => callExpr<'i32'>(fn, []);
    switch (group) {
      case 0:
        return call(of);
      case 1:
        return call(cf);
      case 2:
        return call(zf);
      case 3:
        return i32.or(call(cf), call(zf));
      case 4:
        return call(sf);
      case 5:
        return call(pf);
      case 6:
        return i32.ne(call(sf), call(of));
      default:
        return i32.or(i32.ne(call(sf), call(of)), call(zf));
    }
  }

  #fromLast(group: number): I32 | undefined {
    const last = this.#last;
    if (!last) return undefined;
    if (group === 2) return i64.eqz(last.r);
    if (group === 4) return i64.lt_s(last.r, i64.const(0));
    if (group === 5) return parity(last.r);
    if (last.kind === 'logic') {
      if (group === 0 || group === 1) return i32.const(0);
      if (group === 3) return i64.eqz(last.r);
      return group === 6 ? i64.lt_s(last.r, i64.const(0)) : i64.le_s(last.r, i64.const(0));
    }
    if (last.kind === 'sub') {
      const signed = (v: I64): I64 => signExtend(last.size, v);
      if (group === 1) return i64.lt_u(last.a, last.b);
      if (group === 3) return i64.le_u(last.a, last.b);
      if (group === 6) return i64.lt_s(signed(last.a), signed(last.b));
      if (group === 7) return i64.le_s(signed(last.a), signed(last.b));
    }
    return undefined;
  }
}
