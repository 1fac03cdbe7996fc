import { type I32, i32, i64 } from '@xenolith/wasm-builder';
import { RECORD } from '../../core/record.js';
import { type Row, row } from '../row.js';
import { type Context, loadSized } from '../semantics.js';
import { FLOAT } from '../state.js';
import { raisePending } from './mmx-state.js';
import { x87Control } from './x87-control.js';

/*
 * The x87 unit: what an instruction computes is in `float/x87.ts`, by the name of the operation; here it gets its operands.
 * Names with "0" and numbers behind them in the manuals' maps are second encodings of the same instruction.
 */

const at = (address: number): I32 => i32.const(address);
const fpu = { fpu: true } as const;

/** ST(i) by ModRM.rm. */
const register = (cx: Context): I32 => i32.load16_u(cx.site.record, RECORD.aux);

/** Operations on registers alone. */
const plain = (name: string, encodings: readonly string[], operation: string): Row =>
  row(
    name,
    encodings,
    (cx) => {
      raisePending(cx);
      cx.x87(operation, register(cx));
    },
    fpu,
  );

/** Operations with a memory operand that is read. */
const load = (name: string, encoding: string, operation: string): Row =>
  row(
    name,
    [encoding],
    (cx) => {
      raisePending(cx);
      const size = cx.sizeOf(0) as number;
      const host = cx.f.let(cx.readable(cx.address(0), size));
      cx.f.store64(at(FLOAT.a), 0, loadSized(Math.min(size, 8), host));
      if (size === 10) cx.f.store16(at(FLOAT.a), 8, i32.load16_u(host, 8));
      cx.x87(operation);
    },
    fpu,
  );

/** Operations that store: the place must be writable first, so that nothing is done when it is not. */
const store = (name: string, encoding: string, operation: string): Row =>
  row(
    name,
    [encoding],
    (cx) => {
      raisePending(cx);
      const { f } = cx;
      const size = cx.sizeOf(0) as number;
      const host = cx.writable(cx.address(0), size);
      f.if(cx.x87(operation), () => {
        f.store64(host, 0, i64.load(at(FLOAT.result)), Math.min(size, 8) as 2 | 4 | 8);
        if (size === 10) f.store16(host, 8, i32.load16_u(at(FLOAT.result), 8));
      });
      cx.finishWrite(host);
    },
    fpu,
  );

/** The arithmetic of ModRM.reg 0 … 7; 2 and 3 are the comparisons. */
const GROUP = ['add', 'mul', undefined, undefined, 'sub', 'subr', 'div', 'divr'] as const;
const arithmetic = GROUP.flatMap((operation, group): Row[] => {
  if (!operation) return [];
  // With ST(i) as the destination the encodings of SUB and SUBR, and of DIV and DIVR, change places.
  const swapped = group >= 4 ? group ^ 1 : group;
  return [
    load(`f${operation}`, `d8/${group}m Md`, `${operation} single`),
    load(`f${operation}`, `dc/${group}m Mq`, `${operation} double`),
    load(`fi${operation}`, `da/${group}m Md`, `${operation} int32`),
    load(`fi${operation}`, `de/${group}m Mw`, `${operation} int16`),
    plain(`f${operation}`, [`d8/${group}r T`], `${operation} st0`),
    plain(`f${operation}`, [`dc/${swapped}r T`], `${operation} sti`),
    plain(`f${operation}p`, [`de/${swapped}r T`], `${operation} pop`),
  ];
});

const comparisons: Row[] = [
  ...(['', 'p'] as const).flatMap((pop, n): Row[] => {
    const operation = pop ? 'compare pop' : 'compare';
    return [
      load(`fcom${pop}`, `d8/${2 + n}m Md`, `${operation} single`),
      load(`fcom${pop}`, `dc/${2 + n}m Mq`, `${operation} double`),
      load(`ficom${pop}`, `da/${2 + n}m Md`, `${operation} int32`),
      load(`ficom${pop}`, `de/${2 + n}m Mw`, `${operation} int16`),
    ];
  }),
  plain('fcom', ['d8/2r T', 'dc/2r T'], 'compare'),
  plain('fcomp', ['d8/3r T', 'dc/3r T', 'de/2r T'], 'compare pop'),
  row('fcompp', ['de=d9'], (cx) => pair(cx, 'compare pop2'), fpu),
  plain('fucom', ['dd/4r T'], 'compare quiet'),
  plain('fucomp', ['dd/5r T'], 'compare quiet pop'),
  row('fucompp', ['da=e9'], (cx) => pair(cx, 'compare quiet pop2'), fpu),
  ...[
    ['fcomi', 'db/6r', 'flags'],
    ['fucomi', 'db/5r', 'flags quiet'],
    ['fcomip', 'df/6r', 'flags pop'],
    ['fucomip', 'df/5r', 'flags quiet pop'],
  ].map(([name, encoding, operation]) =>
    row(
      name!,
      [`${encoding} T`],
      (cx) => {
        raisePending(cx);
        cx.f.if(cx.x87(operation!, register(cx)), () => cx.flags.all(i32.load(at(FLOAT.result))));
      },
      fpu,
    ),
  ),
];
/** ST(0) with ST(1). */
const pair = (cx: Context, operation: string): void => {
  raisePending(cx);
  cx.x87(operation, i32.const(1));
};

/** FCMOVcc by condition code. */
const conditional = (name: string, encoding: string, cc: number): Row =>
  row(
    name,
    [`${encoding} T`],
    (cx) => {
      raisePending(cx);
      cx.f.if(
        cx.flags.condition(cc),
        () => void cx.x87('conditional copy', register(cx)),
        () => void cx.x87('conditional check', register(cx)),
      );
    },
    fpu,
  );

/** Instructions of one byte behind D9, by that byte. */
const D9: readonly (readonly [name: string, modrm: string, operation: string])[] = [
  ['fnop', 'd0', 'nothing'],
  ['fchs', 'e0', 'negate'],
  ['fabs', 'e1', 'absolute'],
  ['ftst', 'e4', 'test zero'],
  ['fxam', 'e5', 'examine'],
  ['fld1', 'e8', 'constant 1'],
  ['fldl2t', 'e9', 'constant l2t'],
  ['fldl2e', 'ea', 'constant l2e'],
  ['fldpi', 'eb', 'constant pi'],
  ['fldlg2', 'ec', 'constant lg2'],
  ['fldln2', 'ed', 'constant ln2'],
  ['fldz', 'ee', 'constant 0'],
  ['f2xm1', 'f0', 'power minus one'],
  ['fyl2x', 'f1', 'y log2'],
  ['fptan', 'f2', 'tangent'],
  ['fpatan', 'f3', 'arctangent'],
  ['fxtract', 'f4', 'extract'],
  ['fprem1', 'f5', 'remainder nearest'],
  ['fdecstp', 'f6', 'step down'],
  ['fincstp', 'f7', 'step up'],
  ['fprem', 'f8', 'remainder'],
  ['fyl2xp1', 'f9', 'y log2 plus one'],
  ['fsqrt', 'fa', 'sqrt'],
  ['fsincos', 'fb', 'sin cos'],
  ['frndint', 'fc', 'round'],
  ['fscale', 'fd', 'scale'],
  ['fsin', 'fe', 'sin'],
  ['fcos', 'ff', 'cos'],
];

export const x87: Row[] = [
  ...x87Control,
  ...arithmetic,
  ...comparisons,
  ...D9.map(([name, modrm, operation]) => plain(name, [`d9=${modrm}`], operation)),
  plain('fld', ['d9/0r T'], 'load register'),
  load('fld', 'd9/0m Md', 'load single'),
  load('fld', 'dd/0m Mq', 'load double'),
  load('fld', 'db/5m Mt', 'load extended'),
  load('fild', 'df/0m Mw', 'load int16'),
  load('fild', 'db/0m Md', 'load int32'),
  load('fild', 'df/5m Mq', 'load int64'),
  load('fbld', 'df/4m Mt', 'load decimal'),
  store('fst', 'd9/2m Md', 'store single'),
  store('fst', 'dd/2m Mq', 'store double'),
  store('fstp', 'd9/3m Md', 'pop single'),
  store('fstp', 'dd/3m Mq', 'pop double'),
  store('fstp', 'db/7m Mt', 'pop extended'),
  store('fist', 'df/2m Mw', 'store int16'),
  store('fist', 'db/2m Md', 'store int32'),
  store('fistp', 'df/3m Mw', 'pop int16'),
  store('fistp', 'db/3m Md', 'pop int32'),
  store('fistp', 'df/7m Mq', 'pop int64'),
  store('fisttp', 'df/1m Mw', 'pop trunc16'),
  store('fisttp', 'db/1m Md', 'pop trunc32'),
  store('fisttp', 'dd/1m Mq', 'pop trunc64'),
  store('fbstp', 'df/6m Mt', 'pop decimal'),
  plain('fst', ['dd/2r T'], 'copy'),
  plain('fstp', ['dd/3r T', 'df/2r T', 'df/3r T'], 'copy pop'),
  plain('fstp', ['d9/3r T'], 'copy pop quiet'),
  plain('fxch', ['d9/1r T', 'dd/1r T', 'df/1r T'], 'exchange'),
  plain('ffree', ['dd/0r T'], 'free'),
  plain('ffreep', ['df/0r T'], 'free pop'),
  conditional('fcmovb', 'da/0r', 2),
  conditional('fcmove', 'da/1r', 4),
  conditional('fcmovbe', 'da/2r', 6),
  conditional('fcmovu', 'da/3r', 10),
  conditional('fcmovnb', 'db/0r', 3),
  conditional('fcmovne', 'db/1r', 5),
  conditional('fcmovnbe', 'db/2r', 7),
  conditional('fcmovnu', 'db/3r', 11),
];
