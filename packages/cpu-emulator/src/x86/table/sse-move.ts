import { i32, i64, v128, v128op, v128test } from '@xenolith/wasm-builder';
import type { Row } from '../row.js';
import { type Context, loadSized } from '../semantics.js';
import { REG } from '../state.js';
import { implicitAddress } from './implicit.js';
import { setMmx } from './mmx-state.js';
import { SIMD } from './simd.js';
import { lowLane, mergeLow, scalar, select128, setVector, source, vector } from './sse-common.js';

/** MOVAPS and the like: from register or memory. */
const load = (name: string, encoding: string, unaligned = false): Row =>
  vector(name, [`${encoding} Vx,Wx`], (cx) => setVector(cx, 0, source(cx, 1, unaligned)));

const store = (name: string, encoding: string, unaligned = false): Row =>
  vector(name, [`${encoding} Wx,Vx`], (cx) => {
    const value = cx.readVector(1);
    if (!cx.isMemory(0)) {
      setVector(cx, 0, value);
      return;
    }
    const address = cx.f.let(cx.address(0));
    if (!unaligned) cx.requireAligned(address, 16);
    const host = cx.writable(address, 16);
    cx.f.storeV128(host, 0, value);
    cx.finishWrite(host);
  });

/** MOVSS and MOVSD: a register source replaces the low lane, a memory source clears the rest. */
const scalarMove = (name: string, prefix: string, size: 'd' | 'q'): Row[] => {
  const bytes = size === 'd' ? 4 : 8;
  return [
    vector(name, [`${prefix} 0f 10 Vx,W${size}`], (cx) => {
      const v = scalar(cx, 1);
      setVector(cx, 0, cx.isMemory(1) ? v : mergeLow(v, cx.readVector(0), bytes));
    }),
    vector(name, [`${prefix} 0f 11 W${size},Vx`], (cx) => {
      if (cx.isMemory(0)) cx.storeTo(cx.address(0), bytes, loadSized(bytes, cx.slot(1)));
      else setVector(cx, 0, mergeLow(cx.readVector(1), cx.readVector(0), bytes));
    }),
  ];
};

/** One 8-byte half of a register from and to memory: MOVLPS, MOVHPD and so on. */
const half = (name: string, prefix: string, opcode: number, byte: 0 | 8): Row[] => [
  vector(name, [`${prefix} 0f ${opcode.toString(16)}m Vx,Mq`], (cx) => {
    const v = cx.read(1);
    cx.f.store64(cx.slot(0), byte, v);
  }),
  vector(name, [`${prefix} 0f ${(opcode + 1).toString(16)} Mq,Vx`], (cx) =>
    cx.write(0, i64.load(cx.slot(1), byte)),
  ),
];

function setLowClearHigh(cx: Context, v: ReturnType<typeof lowLane>): void {
  cx.f.store64(cx.slot(0), 0, v);
  cx.f.store64(cx.slot(0), 8, i64.const(0));
}

/** Copies each lane of `size` bytes that `from` names to both places of its pair. */
const duplicate = (name: string, prefix: string, opcode: string, from: readonly number[]): Row =>
  vector(name, [`${prefix} 0f ${opcode} Vx,Wx`], (cx) => {
    const v = source(cx, 1);
    setVector(cx, 0, v128.shuffle(v, v, from));
  });

const mask = (name: string, encoding: string, opcode: number): Row =>
  vector(name, [`${encoding} Gy,Ux`], (cx) => cx.write(0, i64.extend_u(v128test(opcode, cx.readVector(1)))));

/** Writes the bytes whose mask byte has its top bit set; all 16 or 8 bytes must be writable first. */
const maskedStore = (cx: Context): void => {
  const host = cx.writable(implicitAddress(cx, cx.gpr(REG.rdi)), cx.mmx ? 8 : 16);
  const chosen = v128op(SIMD.i8x16_shr_s, cx.readVector(1), i32.const(7));
  const old = cx.mmx ? v128.load64_zero(host) : v128.load(host);
  const mixed = select128(cx.readVector(0), old, chosen);
  if (cx.mmx) cx.f.store64(host, 0, v128.extract64(mixed, 0));
  else cx.f.storeV128(host, 0, mixed);
  cx.finishWrite(host);
};

export const sseMove: Row[] = [
  load('movaps', 'np 0f 28'),
  store('movaps', 'np 0f 29'),
  load('movapd', '66 0f 28'),
  store('movapd', '66 0f 29'),
  load('movdqa', '66 0f 6f'),
  store('movdqa', '66 0f 7f'),
  load('movups', 'np 0f 10', true),
  store('movups', 'np 0f 11', true),
  load('movupd', '66 0f 10', true),
  store('movupd', '66 0f 11', true),
  load('movdqu', 'f3 0f 6f', true),
  store('movdqu', 'f3 0f 7f', true),
  load('lddqu', 'f2 0f f0m', true),
  load('movntdqa', '66 0f 38 2am'),
  store('movntps', 'np 0f 2bm'),
  store('movntpd', '66 0f 2bm'),
  store('movntdq', '66 0f e7m'),
  ...scalarMove('movss', 'f3', 'd'),
  ...scalarMove('movsd', 'f2', 'q'),
  ...half('movlps', 'np', 0x12, 0),
  ...half('movlpd', '66', 0x12, 0),
  ...half('movhps', 'np', 0x16, 8),
  ...half('movhpd', '66', 0x16, 8),
  vector('movhlps', ['np 0f 12r Vx,Ux'], (cx) => cx.f.store64(cx.slot(0), 0, i64.load(cx.slot(1), 8))),
  vector('movlhps', ['np 0f 16r Vx,Ux'], (cx) => cx.f.store64(cx.slot(0), 8, i64.load(cx.slot(1)))),
  vector('movd', ['66 0f 6e Vx,Ey'], (cx) => setLowClearHigh(cx, cx.read(1))),
  vector('movd', ['np 0f 6e Pq,Ey'], (cx) => setMmx(cx, 0, cx.read(1))),
  vector('movd', ['np 0f 7e Ey,Pq'], (cx) => cx.write(0, cx.f.let(loadSized(cx.sizeOf(0), cx.slot(1))))),
  vector('movq', ['np 0f 6f Pq,Qq'], (cx) => setMmx(cx, 0, cx.read(1))),
  vector('movq', ['np 0f 7f Qq,Pq'], (cx) => {
    const v = cx.read(1);
    if (cx.isMemory(0)) cx.write(0, v);
    else setMmx(cx, 0, v);
  }),
  vector('movntq', ['np 0f e7 Mq,Pq'], (cx) => cx.write(0, cx.read(1))),
  vector('movq2dq', ['f3 0f d6 Vx,Nq'], (cx) => setLowClearHigh(cx, cx.read(1))),
  vector('movdq2q', ['f2 0f d6 Pq,Uq'], (cx) => setMmx(cx, 0, cx.f.let(i64.load(cx.slot(1))))),
  vector('movd', ['66 0f 7e Ey,Vx'], (cx) => cx.write(0, cx.f.let(loadSized(cx.sizeOf(0), cx.slot(1))))),
  vector('movq', ['f3 0f 7e Vx,Wq'], (cx) => setLowClearHigh(cx, lowLane(cx, 1, 8))),
  vector('movq', ['66 0f d6 Wq,Vx'], (cx) => {
    const v = cx.f.let(i64.load(cx.slot(1)));
    if (cx.isMemory(0)) cx.storeTo(cx.address(0), 8, v);
    else setLowClearHigh(cx, v);
  }),
  vector('movddup', ['f2 0f 12 Vx,Wq'], (cx) =>
    setVector(cx, 0, v128op(SIMD.i64x2_splat, lowLane(cx, 1, 8))),
  ),
  duplicate('movsldup', 'f3', '12', [0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 10, 11, 8, 9, 10, 11]),
  duplicate('movshdup', 'f3', '16', [4, 5, 6, 7, 4, 5, 6, 7, 12, 13, 14, 15, 12, 13, 14, 15]),
  mask('pmovmskb', '66 0f d7', SIMD.i8x16_bitmask),
  // The bytes above an MMX register's are zeros here.
  vector('pmovmskb', ['np 0f d7 Gy,Nq'], (cx) =>
    cx.write(0, i64.extend_u(v128test(SIMD.i8x16_bitmask, cx.readVector(1)))),
  ),
  mask('movmskps', 'np 0f 50', SIMD.i32x4_bitmask),
  mask('movmskpd', '66 0f 50', SIMD.i64x2_bitmask),
  vector('maskmovdqu', ['66 0f f7 Vx,Ux'], maskedStore, { implicitAddress: true }),
  vector('maskmovq', ['np 0f f7 Pq,Nq'], maskedStore, { implicitAddress: true }),
];
