import { i32, i64, v128, v128op, v128test } from '@xenolith/wasm-builder';
import { type Row, row } from '../row.js';
import { type Context, loadSized } from '../semantics.js';
import { REG } from '../state.js';
import { lowLane, mergeLow, scalar, setVector, source, VECTOR } from './sse-common.js';

function storeVector(cx: Context, unaligned: boolean): void {
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
}

function move(name: string, load: readonly string[], store: readonly string[], unaligned: boolean): Row[] {
  return [
    row(
      name,
      load.map((e) => `${e} Vx,Wx`),
      (cx) => setVector(cx, 0, source(cx, 1, unaligned)),
      VECTOR,
    ),
    row(
      name,
      store.map((e) => `${e} Wx,Vx`),
      (cx) => storeVector(cx, unaligned),
      VECTOR,
    ),
  ];
}

/** MOVSS and MOVSD: a register source replaces the low lane, a memory source clears the rest. */
const scalarMove = (name: string, prefix: string, size: 'd' | 'q'): Row[] => [
  row(
    name,
    [`${prefix} 0f 10 Vx,W${size}`],
    (cx) => {
      const v = scalar(cx, 1);
      setVector(cx, 0, cx.isMemory(1) ? v : mergeLow(v, cx.readVector(0), size === 'd' ? 4 : 8));
    },
    VECTOR,
  ),
  row(
    name,
    [`${prefix} 0f 11 W${size},Vx`],
    (cx) => {
      if (cx.isMemory(0)) cx.storeTo(cx.address(0), cx.sizeOf(0), loadSized(cx.sizeOf(0), cx.slot(1)));
      else setVector(cx, 0, mergeLow(cx.readVector(1), cx.readVector(0), size === 'd' ? 4 : 8));
    },
    VECTOR,
  ),
];

/** One 8-byte half of a register from and to memory (MOVLPS, MOVHPD …). */
const half = (name: string, opcode: number, byte: 0 | 8): Row[] =>
  ['np', '66'].flatMap((prefix) => {
    const suffix = prefix === 'np' ? 'ps' : 'pd';
    const op = (n: number): string => n.toString(16);
    return [
      row(
        `${name}${suffix}`,
        [`${prefix} 0f ${op(opcode)}m Vx,Mq`],
        (cx) => {
          const v = cx.read(1);
          cx.f.store64(cx.slot(0), byte, v);
        },
        VECTOR,
      ),
      row(
        `${name}${suffix}`,
        [`${prefix} 0f ${op(opcode + 1)} Mq,Vx`],
        (cx) => {
          cx.write(0, i64.load(cx.slot(1), byte));
        },
        VECTOR,
      ),
    ];
  });

const mask = (name: string, encoding: string, opcode: number): Row =>
  row(
    name,
    [`${encoding} Gy,Ux`],
    (cx) => cx.write(0, i64.extend_u(v128test(opcode, cx.readVector(1)))),
    VECTOR,
  );

export const sseMove: Row[] = [
  ...move('movaps', ['np 0f 28'], ['np 0f 29', 'np 0f 2b'], false),
  ...move('movapd', ['66 0f 28'], ['66 0f 29', '66 0f 2b'], false),
  ...move('movdqa', ['66 0f 6f', '66 0f 38 2a'], ['66 0f 7f', '66 0f e7'], false),
  ...move('movups', ['np 0f 10'], ['np 0f 11'], true),
  ...move('movupd', ['66 0f 10'], ['66 0f 11'], true),
  ...move('movdqu', ['f3 0f 6f', 'f2 0f f0'], ['f3 0f 7f'], true),
  ...scalarMove('movss', 'f3', 'd'),
  ...scalarMove('movsd', 'f2', 'q'),
  ...half('movl', 0x12, 0),
  ...half('movh', 0x16, 8),
  row('movhlps', ['np 0f 12r Vx,Ux'], (cx) => cx.f.store64(cx.slot(0), 0, i64.load(cx.slot(1), 8)), VECTOR),
  row('movlhps', ['np 0f 16r Vx,Ux'], (cx) => cx.f.store64(cx.slot(0), 8, i64.load(cx.slot(1))), VECTOR),
  row(
    'movd',
    ['66 0f 6e Vx,Ey'],
    (cx) => {
      const v = cx.read(1);
      cx.f.store64(cx.slot(0), 0, v);
      cx.f.store64(cx.slot(0), 8, i64.const(0));
    },
    VECTOR,
  ),
  row(
    'movd',
    ['66 0f 7e Ey,Vx'],
    (cx) => {
      cx.write(0, cx.f.let(loadSized(cx.sizeOf(0), cx.slot(1))));
    },
    VECTOR,
  ),
  row(
    'movq',
    ['f3 0f 7e Vx,Wq'],
    (cx) => {
      const v = lowLane(cx, 1, 8);
      cx.f.store64(cx.slot(0), 0, v);
      cx.f.store64(cx.slot(0), 8, i64.const(0));
    },
    VECTOR,
  ),
  row(
    'movq',
    ['66 0f d6 Wq,Vx'],
    (cx) => {
      const v = cx.f.let(i64.load(cx.slot(1)));
      if (cx.isMemory(0)) {
        cx.storeTo(cx.address(0), 8, v);
        return;
      }
      cx.f.store64(cx.slot(0), 0, v);
      cx.f.store64(cx.slot(0), 8, i64.const(0));
    },
    VECTOR,
  ),
  row('movddup', ['f2 0f 12 Vx,Wq'], (cx) => setVector(cx, 0, v128op(18, lowLane(cx, 1, 8))), VECTOR),
  row(
    'movsldup',
    ['f3 0f 12 Vx,Wx'],
    (cx) => {
      const v = source(cx, 1);
      setVector(cx, 0, v128.shuffle(v, v, [0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 10, 11, 8, 9, 10, 11]));
    },
    VECTOR,
  ),
  row(
    'movshdup',
    ['f3 0f 16 Vx,Wx'],
    (cx) => {
      const v = source(cx, 1);
      setVector(cx, 0, v128.shuffle(v, v, [4, 5, 6, 7, 4, 5, 6, 7, 12, 13, 14, 15, 12, 13, 14, 15]));
    },
    VECTOR,
  ),
  mask('pmovmskb', '66 0f d7', 100),
  mask('movmskps', 'np 0f 50', 164),
  mask('movmskpd', '66 0f 50', 196),
  row(
    'maskmovdqu',
    ['66 0f f7 Vx,Ux'],
    (cx) => {
      // Byte by byte, but both ends are checked first, so that a fault leaves nothing half written.
      const address = cx.f.let(cx.gpr(REG.rdi));
      const host = cx.writable(address, 16);
      cx.f.storeV128(
        host,
        0,
        v128op(82, cx.readVector(0), v128.load(host), v128op(108, cx.readVector(1), i32.const(7))),
      );
      cx.finishWrite(host);
    },
    VECTOR,
  ),
];
