import { type I32, type I64, i32, i64, select } from '@xenolith/wasm-builder';
import { signExtend } from '../flags.js';
import { type Row, row } from '../row.js';
import type { Context } from '../semantics.js';
import { FLAG } from '../state.js';

/** What a bit instruction makes of the operand, given a mask with the one bit. */
type Change = ((value: I64, mask: I64) => I64) | undefined;

/**
 * BT, BTS, BTR, BTC. With a register bit offset and a memory operand, the offset is a signed bit index that reaches
 * beyond the operand.
 */
function bitRow(name: string, opcode: string, group: number, change: Change): Row {
  const finish = (cx: Context, value: I64, offset: I64, set: (v: I64) => void): void => {
    const { f } = cx;
    const found = f.let(i32.and(i32.wrap(i64.shr_u(value, offset)), i32.const(1)));
    if (change) set(change(value, f.let(i64.shl(i64.const(1), offset))));
    cx.flags.change(FLAG.cf, found);
  };
  return row(
    name,
    [`0f ${opcode} Ev,Gv`, `0f ba/${group} Ev,Ib`],
    (cx) => {
      const { f } = cx;
      const size = cx.sizeOf(0);
      const width = size * 8;
      const index = cx.read(1);
      const offset = f.let(i64.and(index, i64.const(width - 1)));
      if (cx.isMemory(0) && cx.places[1]!.kind === 'reg') {
        const wordsAway = i64.shr_s(signExtend(size, index), i64.const(Math.log2(width)));
        const address = f.let(i64.add(cx.address(0), i64.mul(wordsAway, i64.const(size))));
        if (!change) {
          finish(cx, cx.load(address, size), offset, () => {});
          return;
        }
        const host = cx.writable(address, size);
        const value = f.let(
          size === 8 ? i64.load(host) : size === 4 ? i64.load32_u(host) : i64.load16_u(host),
        );
        finish(cx, value, offset, (v) => {
          f.store64(host, 0, v, size);
          cx.finishWrite(host);
        });
        return;
      }
      if (!change) {
        finish(cx, cx.read(0), offset, () => {});
        return;
      }
      const place = cx.modify(0);
      finish(cx, place.value, offset, place.set);
    },
    { lock: change !== undefined },
  );
}

/** BSF and BSR: a zero source sets ZF and leaves the destination. */
const scan =
  (forward: boolean) =>
  (cx: Context): void => {
    const { f } = cx;
    const source = cx.read(1);
    f.if(
      i64.eqz(source),
      () => {
        // A 32-bit destination keeps its value; only ZF is defined.
        cx.flags.result(8, i64.const(0), i32.const(0));
      },
      () => {
        cx.write(0, forward ? i64.ctz(source) : i64.sub(i64.const(63), i64.clz(source)));
        cx.flags.result(8, i64.const(1), i32.const(0));
      },
    );
  };

/** TZCNT, LZCNT: CF when the source is zero, ZF when the result is. */
const count =
  (trailing: boolean) =>
  (cx: Context): void => {
    const { f } = cx;
    const width = cx.size * 8;
    const source = cx.read(1);
    const zeros = trailing ? i64.ctz(source) : i64.sub(i64.clz(source), i64.const(64 - width));
    const r = f.let(trailing && width < 64 ? select(i64.eqz(source), i64.const(width), zeros) : zeros);
    cx.write(0, r);
    const bits = i32.or(i64.eqz(source), i32.shl(i64.eqz(r), i32.const(6)));
    cx.flags.change(FLAG.cf | FLAG.zf, f.let(bits));
  };

const byteSwap = (cx: Context, v: I64): I64 => {
  const { f } = cx;
  const halves = (x: I64, mask: bigint, n: number): I64 =>
    f.let(
      i64.or(
        i64.and(i64.shr_u(x, i64.const(n)), i64.const(mask)),
        i64.shl(i64.and(x, i64.const(mask)), i64.const(n)),
      ),
    );
  const swapped = i64.rotl(halves(halves(v, 0x00ff00ff00ff00ffn, 8), 0x0000ffff0000ffffn, 16), i64.const(32));
  return cx.size === 8 ? swapped : i64.shr_u(swapped, i64.const(64 - 8 * cx.size));
};

/** CRC-32C (polynomial 0x11EDC6F41, bit-reflected) over the source's bytes. */
const crc32 = (cx: Context): void => {
  const { f } = cx;
  const size = cx.sizeOf(1);
  const data = cx.read(1);
  const crc = f.local('i64');
  const left = f.local('i32');
  f.set(crc, i64.and(cx.read(0), i64.const(0xffff_ffff)));
  const rest = f.local('i64');
  f.set(rest, data);
  f.set(crc, i64.xor(crc, size === 8 ? i64.and(rest, i64.const(0xffff_ffff)) : rest));
  const bits = (n: number): void => {
    f.set(left, i32.const(n));
    f.loop((next) => {
      const low: I32 = i32.and(i32.wrap(crc), i32.const(1));
      f.set(crc, i64.xor(i64.shr_u(crc, i64.const(1)), select(low, i64.const(0x82f63b78), i64.const(0))));
      f.set(left, i32.sub(left, i32.const(1)));
      f.brIf(next, left);
    });
  };
  bits(Math.min(size, 4) * 8);
  if (size === 8) {
    f.set(crc, i64.xor(crc, i64.shr_u(rest, i64.const(32))));
    bits(32);
  }
  cx.write(0, crc);
};

export const bits: Row[] = [
  bitRow('bt', 'a3', 4, undefined),
  bitRow('bts', 'ab', 5, (v, m) => i64.or(v, m)),
  bitRow('btr', 'b3', 6, (v, m) => i64.and(v, i64.xor(m, i64.const(-1)))),
  bitRow('btc', 'bb', 7, (v, m) => i64.xor(v, m)),
  // Without BMI1 and LZCNT in CPUID, F3 0F BC and BD would be BSF and BSR; they are shown, so they count.
  row('tzcnt', ['f3 0f bc Gv,Ev'], count(true)),
  row('lzcnt', ['f3 0f bd Gv,Ev'], count(false)),
  row('bsf', ['0f bc Gv,Ev'], scan(true)),
  row('bsr', ['0f bd Gv,Ev'], scan(false)),
  row('popcnt', ['f3 0f b8 Gv,Ev'], (cx) => {
    const source = cx.read(1);
    cx.write(0, i64.popcnt(source));
    cx.flags.all(i32.shl(i64.eqz(source), i32.const(6)));
  }),
  row('bswap', ['0f c8+ Oy'], (cx) => cx.write(0, byteSwap(cx, cx.read(0)))),
  row('crc32', ['f2 0f 38 f0 Gy,Eb', 'f2 0f 38 f1 Gy,Ev'], crc32),
];
