import { type I32, type I64, i32, i64 } from '@xenolith/wasm-builder';
import { type Size, signExtend, zeroExtend } from '../flags.js';
import { type Row, row } from '../row.js';
import type { Context } from '../semantics.js';
import { FLAG, REG } from '../state.js';

type Operation = (cx: Context, a: I64, b: I64) => I64 | undefined;

/**
 * The eight classic operations share their encodings: `base` is the first opcode, `group` the ModRM.reg in 80, 81, 83, and
 * in 82, which is 80 again outside 64-bit mode.
 */
function classic(name: string, base: number, group: number, operation: Operation, writes = true): Row[] {
  const opcode = (n: number): string => (base + n).toString(16).padStart(2, '0');
  const semantics = (cx: Context): void => {
    if (writes) {
      const b = cx.read(1);
      const place = cx.modify(0);
      place.set(operation(cx, place.value, b)!);
    } else {
      const a = cx.read(0);
      operation(cx, a, cx.read(1));
    }
  };
  const encodings = [
    `${opcode(0)} Eb,Gb`,
    `${opcode(1)} Ev,Gv`,
    `${opcode(2)} Gb,Eb`,
    `${opcode(3)} Gv,Ev`,
    `${opcode(4)} Ab,Ib`,
    `${opcode(5)} Av,Iz`,
    `80/${group} Eb,Ib`,
    `81/${group} Ev,Iz`,
    `83/${group} Ev,sIb`,
  ];
  return [
    row(name, encodings, semantics, { lock: writes }),
    row(name, [`82/${group} Eb,Ib`], semantics, { lock: writes, mode: 32 }),
  ];
}

const logic =
  (op: (a: I64, b: I64) => I64): Operation =>
  (cx, a, b) => {
    const r = cx.f.let(op(a, b));
    cx.flags.logic(cx.sizeOf(0), r);
    return r;
  };

const subtract: Operation = (cx, a, b) => {
  const r = cx.f.let(i64.sub(a, b));
  cx.flags.sub(cx.sizeOf(0), a, b, r);
  return r;
};

/** ADC and SBB: with a carry in, the flags do not follow from two values, so they are computed here. */
const withCarry =
  (sub: boolean): Operation =>
  (cx, a, b) => {
    const size = cx.sizeOf(0);
    const carry = cx.f.let(i64.extend_u(cx.flags.cf()));
    const r = cx.f.let(zeroExtend(size, sub ? i64.sub(i64.sub(a, b), carry) : i64.add(i64.add(a, b), carry)));
    // The vector of carries (borrows) out of each bit.
    const not = (v: I64): I64 => i64.xor(v, i64.const(-1));
    const x = sub ? not(a) : a;
    const kept = sub ? r : not(r);
    const carries = cx.f.let(i64.or(i64.and(x, b), i64.and(i64.or(x, b), kept)));
    const bitAt = (n: number): I32 => i32.and(i32.wrap(i64.shr_u(carries, i64.const(n))), i32.const(1));
    const top = size * 8 - 1;
    cx.flags.result(
      size,
      r,
      i32.or(
        bitAt(top),
        i32.or(i32.shl(i32.xor(bitAt(top), bitAt(top - 1)), i32.const(11)), i32.shl(bitAt(3), i32.const(4))),
      ),
    );
    return r;
  };

const step =
  (delta: 1 | -1) =>
  (cx: Context): void => {
    const place = cx.modify(0);
    const r = cx.f.let(i64.add(place.value, i64.const(delta)));
    place.set(r);
    cx.flags.step(cx.sizeOf(0), delta, r);
  };

/** Sign or zero extension of a smaller source. */
const extend =
  (signed: boolean) =>
  (cx: Context): void => {
    const v = cx.read(1);
    cx.write(0, signed ? signExtend(cx.sizeOf(1), v) : v);
  };

const cmpxchg = (cx: Context): void => {
  const size = cx.sizeOf(0);
  const place = cx.modify(0);
  const accumulator = cx.f.let(cx.gpr(REG.rax, size));
  const equal = cx.f.let(i64.eq(accumulator, place.value));
  const source = cx.read(1);
  cx.f.if(
    equal,
    () => place.set(source),
    () => {
      // Memory is written back; a register stays as it is, the upper half of a 32-bit one too.
      if (cx.isMemory(0)) place.set(place.value);
      cx.setGpr(REG.rax, place.value, size);
    },
  );
  cx.flags.sub(size, accumulator, place.value, cx.f.let(i64.sub(accumulator, place.value)));
};

/** CMPXCHG8B and CMPXCHG16B: rdx:rax against memory of twice `half` bytes. */
const cmpxchgPair =
  (half: 4 | 8) =>
  (cx: Context): void => {
    const { f } = cx;
    const address = f.let(cx.address(0));
    if (half === 8) cx.requireAligned(address, 16);
    const host = cx.writable(address, half * 2);
    const low = f.let(half === 8 ? i64.load(host) : i64.load32_u(host));
    const high = f.let(half === 8 ? i64.load(host, 8) : i64.load32_u(host, 4));
    const equal = f.let(i32.and(i64.eq(low, cx.gpr(REG.rax, half)), i64.eq(high, cx.gpr(REG.rdx, half))));
    f.if(
      equal,
      () => {
        f.store64(host, 0, cx.gpr(REG.rbx, half), half);
        f.store64(host, half, cx.gpr(REG.rcx, half), half);
      },
      () => {
        cx.setGpr(REG.rax, low, half);
        cx.setGpr(REG.rdx, high, half);
      },
    );
    cx.finishWrite(host);
    cx.flags.change(FLAG.zf, i32.shl(equal, i32.const(6)));
  };

const testSemantics = (cx: Context): void => {
  const a = cx.read(0);
  cx.flags.logic(cx.sizeOf(0), cx.f.let(i64.and(a, cx.read(1))));
};

export const arithmetic: Row[] = [
  ...classic('add', 0x00, 0, (cx, a, b) => {
    const r = cx.f.let(i64.add(a, b));
    cx.flags.add(cx.sizeOf(0), a, r);
    return r;
  }),
  ...classic('or', 0x08, 1, logic(i64.or)),
  ...classic('adc', 0x10, 2, withCarry(false)),
  ...classic('sbb', 0x18, 3, withCarry(true)),
  ...classic('and', 0x20, 4, logic(i64.and)),
  ...classic('sub', 0x28, 5, subtract),
  ...classic('xor', 0x30, 6, logic(i64.xor)),
  ...classic('cmp', 0x38, 7, subtract, false),
  row(
    'test',
    ['84 Eb,Gb', '85 Ev,Gv', 'a8 Ab,Ib', 'a9 Av,Iz', 'f6/0 Eb,Ib', 'f7/0 Ev,Iz', 'f6/1 Eb,Ib', 'f7/1 Ev,Iz'],
    testSemantics,
  ),
  row(
    'not',
    ['f6/2 Eb', 'f7/2 Ev'],
    (cx) => {
      const place = cx.modify(0);
      place.set(i64.xor(place.value, i64.const(-1)));
    },
    { lock: true },
  ),
  row(
    'neg',
    ['f6/3 Eb', 'f7/3 Ev'],
    (cx) => {
      const place = cx.modify(0);
      const r = cx.f.let(i64.sub(i64.const(0), place.value));
      place.set(r);
      cx.flags.sub(cx.sizeOf(0), i64.const(0), place.value, r);
    },
    { lock: true },
  ),
  row('inc', ['fe/0 Eb', 'ff/0 Ev'], step(1), { lock: true }),
  row('dec', ['fe/1 Eb', 'ff/1 Ev'], step(-1), { lock: true }),
  row('inc', ['40+ Ov'], step(1), { mode: 32 }),
  row('dec', ['48+ Ov'], step(-1), { mode: 32 }),
  row('movzx', ['0f b6 Gv,Eb', '0f b7 Gv,Ew'], extend(false)),
  row('movsx', ['0f be Gv,Eb', '0f bf Gv,Ew'], extend(true)),
  row('movsxd', ['63 Gv,Ed'], extend(true), { mode: 64 }),
  row(
    'xadd',
    ['0f c0 Eb,Gb', '0f c1 Ev,Gv'],
    (cx) => {
      const size = cx.sizeOf(0);
      const place = cx.modify(0);
      const source = cx.read(1);
      const r = cx.f.let(i64.add(place.value, source));
      if (cx.isMemory(0)) {
        place.set(r);
        cx.write(1, place.value);
      } else {
        // xadd r, r with the same register leaves the sum.
        cx.write(1, place.value);
        place.set(r);
      }
      cx.flags.add(size, place.value, r);
    },
    { lock: true },
  ),
  row('cmpxchg', ['0f b0 Eb,Gb', '0f b1 Ev,Gv'], cmpxchg, { lock: true }),
  row('cmpxchg8b', ['0f c7/1m M'], (cx) => cmpxchgPair(cx.size === 8 ? 8 : 4)(cx), { lock: true }),
  row('cbw', ['98'], (cx) => {
    const half = (cx.size / 2) as Size;
    cx.setGpr(REG.rax, signExtend(half, cx.gpr(REG.rax, half)), cx.size);
  }),
  row('cwd', ['99'], (cx) => {
    const sign = i64.shr_s(signExtend(cx.size, cx.gpr(REG.rax, cx.size)), i64.const(63));
    cx.setGpr(REG.rdx, sign, cx.size);
  }),
];
