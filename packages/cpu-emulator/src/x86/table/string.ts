import { FRAME, FRAME_FLAG_CODE, frameEntry, MMU, PAGE_SIZE } from '@xenolith/mmu';
import { type I32, type I64, i32, i64, select } from '@xenolith/wasm-builder';
import { RECORD } from '../../core/record.js';
import { zeroExtend } from '../flags.js';
import { type Row, row } from '../row.js';
import { type Context, loadSized } from '../semantics.js';
import { FLAG, REG } from '../state.js';

/** Bytes from one element to the next: the size, negative when DF is set. */
const stride = (cx: Context): I64 => {
  const size = cx.size;
  return cx.f.let(select(i32.and(cx.systemFlags(), i32.const(FLAG.df)), i64.const(-size), i64.const(size)));
};

/** Source of MOVS, LODS, CMPS: rsi under the segment whose base the record names. */
const source = (cx: Context): I64 =>
  i64.add(pointer(cx, REG.rsi), i64.load(i32.load16_u(cx.site.record, RECORD.index)));
const pointer = (cx: Context, register: number): I64 => cx.gpr(register, cx.stack);
const advance = (cx: Context, register: number, bytes: I64): void =>
  cx.setGpr(register, i64.add(pointer(cx, register), bytes), cx.stack);

/**
 * Runs one element, or as many as rcx and the budget allow. One iteration is one instruction; a REP with rcx = 0 is one
 * too. Leaves by `next` when rcx is used up, by `again` when the budget is.
 *
 * @param element does one element and moves the pointers; nothing may be changed before what can fault
 * @param stop for CMPS and SCAS: true ends the repetition
 */
function repeat(cx: Context, element: () => void, stop?: () => I32): void {
  if (!cx.rep) {
    element();
    return;
  }
  const { f, site } = cx;
  f.if(i64.eqz(pointer(cx, REG.rcx)), () => site.next());
  const own = f.let(i32.load16_u(site.record));
  f.loop((more) => {
    element();
    const left = f.let(i64.sub(pointer(cx, REG.rcx), i64.const(1)));
    cx.setGpr(REG.rcx, left, cx.stack);
    f.if(i64.eqz(zeroExtend(cx.stack, left)), () => site.next());
    if (stop) f.if(stop(), () => site.next());
    // What it wrote may be this instruction: the next iteration is then of what stands there now, as after an interrupt.
    const changed = i32.ne(i32.load16_u(site.record), own);
    f.if(i32.or(i32.eqz(site.budget()), changed), () => site.again());
    site.setBudget(i32.sub(site.budget(), i32.const(1)));
    f.br(more);
  });
  // The loop never falls through; a fault inside it leaves what was done, as the architecture wants.
}

/**
 * The fast way of a REP MOVS or STOS: as many whole elements as lie in one page on either side, forwards, within the
 * budget, in one bulk operation. `body` gets the count of bytes and calls `done` behind the operation; falls through when it does not apply.
 */
function bulk(cx: Context, usesSource: boolean, body: (bytes: I32, done: () => void) => void): void {
  if (!cx.rep) return;
  const { f, site } = cx;
  const size = cx.size;
  f.if(i32.eqz(i32.and(cx.systemFlags(), i32.const(FLAG.df))), () => {
    const bytes = f.local('i64');
    const room = (p: I64): I64 => i64.sub(i64.const(PAGE_SIZE), i64.and(p, i64.const(PAGE_SIZE - 1)));
    const least = (limit: I64): void => {
      const l = f.let(limit);
      f.set(bytes, select(i64.lt_u(l, bytes), l, bytes));
    };
    f.set(bytes, room(pointer(cx, REG.rdi)));
    if (usesSource) least(room(f.let(source(cx))));
    // This instruction's own count was already taken from the budget.
    least(i64.shl(i64.add(i64.extend_u(site.budget()), i64.const(1)), i64.const(Math.log2(size))));
    const elements = f.let(i64.shr_u(bytes, i64.const(Math.log2(size))));
    const count = f.let(select(i64.lt_u(pointer(cx, REG.rcx), elements), pointer(cx, REG.rcx), elements));
    f.if(i64.gt_u(count, i64.const(1)), () => {
      const length = f.let(i32.wrap(i64.shl(count, i64.const(Math.log2(size)))));
      body(length, () => {
        advance(cx, REG.rdi, i64.extend_u(length));
        if (usesSource) advance(cx, REG.rsi, i64.extend_u(length));
        const left = f.let(i64.sub(pointer(cx, REG.rcx), count));
        cx.setGpr(REG.rcx, left, cx.stack);
        site.setBudget(i32.sub(site.budget(), i32.wrap(i64.sub(count, i64.const(1)))));
        f.if(i64.eqz(left), () => site.next());
        // More to do: back through the dispatcher, which checks the budget.
        site.again();
      });
    });
  });
}

/** Translates the first byte for the whole run; a page with decoded code goes element by element. */
const bulkMove = (cx: Context): void =>
  bulk(cx, true, (length, done) => {
    const { f } = cx;
    const from = f.let(cx.readable(source(cx), 1));
    const to = f.let(cx.writable(pointer(cx, REG.rdi), 1));
    plainTarget(cx, to, () => {
      // Overlap in the direction of the copy repeats the pattern; a bulk copy would not.
      const distance = f.let(i32.sub(to, from));
      f.if(
        i32.and(i32.ne(distance, i32.const(0)), i32.lt_u(distance, length)),
        () => forwardCopy(cx, to, from, length),
        () => f.memoryCopy(to, from, length),
      );
      done();
    });
  });

function forwardCopy(cx: Context, to: I32, from: I32, length: I32): void {
  const { f } = cx;
  const i = f.local('i32');
  f.set(i, i32.const(0));
  f.loop((next) => {
    f.store64(i32.add(to, i), 0, loadSized(cx.size, i32.add(from, i)), cx.size);
    f.set(i, i32.add(i, i32.const(cx.size)));
    f.brIf(next, i32.lt_u(i, length));
  });
}

/** Runs `body` unless decoded code may lie in the run: then the elements go one by one through `writeBegin`. */
function plainTarget(cx: Context, to: I32, body: () => void): void {
  const { f } = cx;
  const flags = i32.load16_u(frameEntry(to), FRAME.flags);
  f.if(i32.or(i32.eq(to, i32.const(MMU.bounce)), i32.and(flags, i32.const(FRAME_FLAG_CODE))), () => {}, body);
}

const movs = (cx: Context): void => {
  bulkMove(cx);
  repeat(cx, () => {
    const step = stride(cx);
    const v = cx.load(source(cx), cx.size);
    cx.storeTo(pointer(cx, REG.rdi), cx.size, v);
    advance(cx, REG.rsi, step);
    advance(cx, REG.rdi, step);
  });
};

const stos = (cx: Context): void => {
  bulk(cx, false, (length, done) => {
    const { f } = cx;
    const to = f.let(cx.writable(pointer(cx, REG.rdi), 1));
    plainTarget(cx, to, () => {
      const v = f.let(cx.gpr(REG.rax, cx.size));
      const byte = i64.and(v, i64.const(0xff));
      const repeated = i64.mul(
        byte,
        i64.const({ 1: 1n, 2: 0x101n, 4: 0x1010101n, 8: 0x101010101010101n }[cx.size]),
      );
      f.if(
        i64.eq(v, repeated),
        () => f.memoryFill(to, i32.wrap(byte), length),
        () => {
          const i = f.local('i32');
          f.set(i, i32.const(0));
          f.loop((next) => {
            f.store64(i32.add(to, i), 0, v, cx.size);
            f.set(i, i32.add(i, i32.const(cx.size)));
            f.brIf(next, i32.lt_u(i, length));
          });
        },
      );
      done();
    });
  });
  repeat(cx, () => {
    const step = stride(cx);
    cx.storeTo(pointer(cx, REG.rdi), cx.size, cx.gpr(REG.rax, cx.size));
    advance(cx, REG.rdi, step);
  });
};

const lods = (cx: Context): void =>
  repeat(cx, () => {
    const step = stride(cx);
    cx.setGpr(REG.rax, cx.load(source(cx), cx.size), cx.size);
    advance(cx, REG.rsi, step);
  });

/** REPE stops when ZF is clear, REPNE when it is set. */
const untilFlag = (cx: Context): I32 => cx.flags.condition(cx.rep === 'repnz' ? 4 : 5);

const cmps = (cx: Context): void =>
  repeat(
    cx,
    () => {
      const step = stride(cx);
      const a = cx.load(source(cx), cx.size);
      const b = cx.load(pointer(cx, REG.rdi), cx.size);
      advance(cx, REG.rsi, step);
      advance(cx, REG.rdi, step);
      cx.flags.sub(cx.size, a, b, cx.f.let(i64.sub(a, b)));
    },
    () => untilFlag(cx),
  );

const scas = (cx: Context): void =>
  repeat(
    cx,
    () => {
      const step = stride(cx);
      const a = cx.f.let(cx.gpr(REG.rax, cx.size));
      const b = cx.load(pointer(cx, REG.rdi), cx.size);
      advance(cx, REG.rdi, step);
      cx.flags.sub(cx.size, a, b, cx.f.let(i64.sub(a, b)));
    },
    () => untilFlag(cx),
  );

export const string: Row[] = [
  row('movs', ['a4 Xb', 'a5 Xv'], movs, { rep: 'rep' }),
  row('stos', ['aa Xb', 'ab Xv'], stos, { rep: 'rep' }),
  row('lods', ['ac Xb', 'ad Xv'], lods, { rep: 'rep' }),
  row('cmps', ['a6 Xb', 'a7 Xv'], cmps, { rep: 'repz' }),
  row('scas', ['ae Xb', 'af Xv'], scas, { rep: 'repz' }),
];
