import {
  callExpr,
  type FunctionBuilder,
  type FunctionRef,
  type I32,
  i32,
  type ModuleBuilder,
  type V128,
  v128,
  v128op,
  v128test,
} from '@xenolith/wasm-builder';
import { FLOAT, STATE } from '../state.js';
import { SIMD } from '../table/simd.js';
import { laneMask, range } from '../table/vectors.js';
import { sseOperation } from './sse.js';
import { VECTOR, type VectorFormat } from './vector-format.js';

/*
 * The common case of SSE's arithmetic by WebAssembly's operations, which round to nearest and know no exceptions. Their result is
 * taken when it is known what the processor would do to MXCSR, and that is nothing: numbers and results are normal or zero, and the
 * result is exact, or inexact results are masked and have been seen before. All else is done by `executeSse`.
 */

const at = (address: number): I32 => i32.const(address);
const { and, or, xor, not } = SIMD;

/** MXCSR has these bits, and none of the others in `mask`. */
export const mxcsrIs = (mask: number, bits: number): I32 =>
  i32.eq(i32.and(i32.load(at(STATE.mxcsr)), i32.const(mask)), i32.const(bits));
const PE = 0x20;
const PM = 0x1000;
const RC = 0x6000;
/** An inexact result leaves MXCSR as it is. */
export const inexactKnown = (): I32 => mxcsrIs(PM | PE, PM | PE);
export const roundsToNearest = (): I32 => mxcsrIs(RC, 0);

/** Lanes that are NaN or denormal. */
export function unusual(v: VectorFormat, x: V128): V128 {
  const tiny = v128op(v.op.lt, v128op(v.op.abs, x), v.splat(v.least));
  const nan = v128op(v.op.ne, x, x);
  return v128op(or, nan, v128op(and, tiny, v128op(v.op.ne, x, v.splat(0))));
}
/** Lanes that are denormal. */
const denormal = (v: VectorFormat, x: V128): V128 =>
  v128op(and, v128op(v.op.lt, v128op(v.op.abs, x), v.splat(v.least)), v128op(v.op.ne, x, v.splat(0)));
const isZero = (v: VectorFormat, x: V128): V128 => v128op(v.op.eq, x, v.splat(0));
export const noneSet = (x: V128): I32 => i32.eqz(v128test(SIMD.any_true, x));

/** The error of a rounded sum: zero when it is exact (Knuth's TwoSum). */
function sumError(f: FunctionBuilder, v: VectorFormat, a: V128, b: V128, sum: V128): V128 {
  const { add, sub } = v.op;
  const second = f.let(v128op(sub, sum, a));
  const first = f.let(v128op(sub, sum, second));
  return f.let(v128op(add, v128op(sub, a, first), v128op(sub, b, second)));
}

/** The error of a rounded product (Dekker), for products of at least `leastProduct`. */
function productError(f: FunctionBuilder, v: VectorFormat, a: V128, b: V128, product: V128): V128 {
  const { add, sub, mul } = v.op;
  const split = (x: V128): [V128, V128] => {
    const t = f.let(v128op(mul, x, v.splat(v.splitter)));
    const high = f.let(v128op(sub, t, v128op(sub, t, x)));
    return [high, f.let(v128op(sub, x, high))];
  };
  const [ah, al] = split(a);
  const [bh, bl] = split(b);
  const times = (x: V128, y: V128): V128 => v128op(mul, x, y);
  const first = v128op(sub, times(ah, bh), product);
  return f.let(v128op(add, v128op(add, v128op(add, first, times(ah, bl)), times(al, bh)), times(al, bl)));
}

/** All lanes of a result are normal numbers beyond the least one, or zero where they may be; and no operand is denormal. */
function usable(
  f: FunctionBuilder,
  v: VectorFormat,
  r: V128,
  mayBeZero: V128,
  ...operands: readonly V128[]
): I32 {
  const size = f.let(v128op(v.op.abs, r));
  const normal = v128op(
    and,
    v128op(v.op.gt, size, v.splat(v.least)),
    v128op(v.op.lt, size, v.splat(Number.POSITIVE_INFINITY)),
  );
  const fine = v128op(or, normal, v128op(and, isZero(v, r), mayBeZero));
  const odd = operands.map((x) => denormal(v, x)).reduce((x, y) => v128op(or, x, y), v128.zero());
  return v128test(v.op.all, v128op(SIMD.andnot, fine, odd));
}
const everywhere = (): V128 => v128op(not, v128.zero());

interface Arithmetic {
  name: 'add' | 'sub' | 'mul' | 'div' | 'sqrt';
  /** Lanes whose result may be zero. */
  mayBeZero(v: VectorFormat, a: V128, b: V128): V128;
  /** Lanes whose result is known to be exact. */
  exact(f: FunctionBuilder, v: VectorFormat, a: V128, b: V128, r: V128): V128;
}
const zeroError = (v: VectorFormat, e: V128): V128 => v128op(v.op.eq, e, v.splat(0));
const exactProduct = (f: FunctionBuilder, v: VectorFormat, a: V128, b: V128, product: V128): V128 => {
  const large = v128op(v.op.ge, v128op(v.op.abs, product), v.splat(v.leastProduct));
  const known = v128op(and, large, zeroError(v, productError(f, v, a, b, product)));
  return v128op(or, known, isZero(v, product));
};
/** The product of result and divisor is exactly the dividend. */
const exactBack = (f: FunctionBuilder, v: VectorFormat, r: V128, by: V128, from: V128): V128 => {
  const product = f.let(v128op(v.op.mul, r, by));
  return v128op(and, exactProduct(f, v, r, by, product), v128op(v.op.eq, product, from));
};
const ARITHMETIC: readonly Arithmetic[] = [
  {
    name: 'add',
    mayBeZero: everywhere,
    exact: (f, v, a, b, r) => zeroError(v, sumError(f, v, a, b, r)),
  },
  {
    name: 'sub',
    mayBeZero: everywhere,
    exact: (f, v, a, b, r) => {
      const opposite = f.let(v128op(v.op.sub, v.splat(0), b));
      return zeroError(v, sumError(f, v, a, opposite, r));
    },
  },
  {
    name: 'mul',
    mayBeZero: (v, a, b) => v128op(or, isZero(v, a), isZero(v, b)),
    exact: exactProduct,
  },
  {
    name: 'div',
    mayBeZero: (v, a) => isZero(v, a),
    exact: (f, v, a, b, r) => exactBack(f, v, r, b, a),
  },
  {
    name: 'sqrt',
    mayBeZero: (v, _a, b) => isZero(v, b),
    exact: (f, v, _a, b, r) => exactBack(f, v, r, r, b),
  },
];

/** Products of the lanes in bits 4–7, their sum in the lanes of bits 0–3, zero elsewhere: returns when all steps are usual. */
function dotProduct(f: FunctionBuilder, v: VectorFormat, a: V128, b: V128, control: I32): void {
  const size = v.suffix === 's' ? 4 : 8;
  f.if(i32.and(inexactKnown(), roundsToNearest()), () => {
    const taken = f.let(laneMask(i32.shr_u(control, i32.const(4)), size));
    const zeros = v128op(or, v128op(or, isZero(v, a), isZero(v, b)), v128op(not, taken));
    const products = f.let(v128op(and, v128op(v.op.mul, a, b), taken));
    f.if(usable(f, v, products, zeros, v128op(and, a, taken), v128op(and, b, taken)), () => {
      // Each lane with its neighbour, then each pair with the other pair.
      const folded = (x: V128, by: number): V128 => {
        const other = v128.shuffle(
          x,
          x,
          range(16, (i) => i ^ by),
        );
        return f.let(v128op(v.op.add, x, other));
      };
      const pairs = folded(products, size);
      const sum = size === 4 ? folded(pairs, 8) : pairs;
      const known = i32.and(usable(f, v, pairs, everywhere()), usable(f, v, sum, everywhere()));
      f.if(known, () => f.return(v128op(and, sum, laneMask(control, size))));
    });
  });
}

/** Functions of the module: (a, b, lanes, argument) → result, with `FLOAT.fault` set on an exception that is not masked. */
export interface FloatFunctions {
  /** Any operation by its number, in `executeSse`: (a, b, operation, lanes, argument). */
  slow: FunctionRef;
  /** By name: add, sub, mul, div, sqrt, min, max, cmp, addsub, dp with s or d; widen, narrow. */
  of(name: string): FunctionRef;
}

export function emitFloatFunctions(m: ModuleBuilder, sse: FunctionRef): FloatFunctions {
  const slow = m.function(['v128', 'v128', 'i32', 'i32', 'i32'], ['v128'], (f) => {
    f.storeV128(at(FLOAT.a), 0, f.param('v128', 0));
    f.storeV128(at(FLOAT.b), 0, f.param('v128', 1));
    f.call(sse, f.param('i32', 2), f.param('i32', 3), f.param('i32', 4));
    f.push(v128.load(at(FLOAT.result)));
  });
  const functions = new Map<string, FunctionRef>();
  /** `fast` returns when it knows the result. */
  const define = (
    name: string,
    fast: (f: FunctionBuilder, a: V128, b: V128, argument: I32) => void,
  ): void => {
    const ref = m.function(['v128', 'v128', 'i32', 'i32'], ['v128'], (f) => {
      const [a, b] = [f.param('v128', 0), f.param('v128', 1)];
      const argument = f.param('i32', 3);
      fast(f, a, b, argument);
      f.push(callExpr(slow, [a, b, i32.const(sseOperation(name)), f.param('i32', 2), argument]));
    });
    functions.set(name, ref);
  };

  for (const v of [VECTOR.s, VECTOR.d]) {
    const all = (lanes: V128): I32 => v128test(v.op.all, lanes);
    for (const { name, mayBeZero, exact } of ARITHMETIC) {
      define(`${name}${v.suffix}`, (f, a, b) => {
        const r = f.let(name === 'sqrt' ? v128op(v.op.sqrt, b) : v128op(v.op[name], a, b));
        const operands = name === 'sqrt' ? [b] : [a, b];
        f.if(i32.and(usable(f, v, r, mayBeZero(v, a, b), ...operands), roundsToNearest()), () => {
          f.if(inexactKnown(), () => f.return(r));
          f.if(all(exact(f, v, a, b, r)), () => f.return(r));
        });
      });
    }
    for (const [name, operation] of [
      ['min', v.op.pmin],
      ['max', v.op.pmax],
    ] as const) {
      // The second operand when both are zero or either is NaN: WebAssembly's pmin and pmax turned round.
      define(`${name}${v.suffix}`, (f, a, b) => {
        f.if(noneSet(v128op(or, unusual(v, a), unusual(v, b))), () => f.return(v128op(operation, b, a)));
      });
    }
    // Even lanes are subtracted, odd lanes added.
    define(`addsub${v.suffix}`, (f, a, b) => {
      const size = v.suffix === 's' ? 4 : 8;
      const lanes = range(16, (i) => (Math.floor(i / size) & 1 ? 16 + i : i));
      const r = f.let(v128.shuffle(v128op(v.op.sub, a, b), v128op(v.op.add, a, b), lanes));
      const usual = i32.and(inexactKnown(), roundsToNearest());
      f.if(i32.and(usable(f, v, r, everywhere(), a, b), usual), () => f.return(r));
    });
    define(`dp${v.suffix}`, (f, a, b, control) => dotProduct(f, v, a, b, control));
    define(`cmp${v.suffix}`, (f, a, b, predicate) => {
      f.if(noneSet(v128op(or, unusual(v, a), unusual(v, b))), () => {
        const negate = f.let(
          v128op(
            SIMD.i32x4_splat,
            i32.sub(i32.const(0), i32.and(i32.shr_u(predicate, i32.const(2)), i32.const(1))),
          ),
        );
        const kind = f.let(i32.and(predicate, i32.const(3)));
        const when = (n: number, lanes: V128): void =>
          f.if(i32.eq(kind, i32.const(n)), () => f.return(v128op(xor, lanes, negate)));
        when(0, v128op(v.op.eq, a, b));
        when(1, v128op(v.op.lt, a, b));
        when(2, v128op(v.op.le, a, b));
        f.return(negate);
      });
    });
  }

  define('widen', (f, _a, b) => {
    f.if(noneSet(unusual(VECTOR.s, b)), () => f.return(v128op(SIMD.f64x2_promote_low_f32x4, b)));
  });
  define('narrow', (f, _a, b) => {
    const { op, splat } = VECTOR.d;
    const r = f.let(v128op(SIMD.f32x4_demote_f64x2_zero, b));
    const back = f.let(v128op(SIMD.f64x2_promote_low_f32x4, r));
    const size = f.let(v128op(op.abs, back));
    const normal = v128op(
      and,
      v128op(op.gt, size, splat(VECTOR.s.least)),
      v128op(op.lt, size, splat(Number.POSITIVE_INFINITY)),
    );
    const usable = v128op(or, normal, isZero(VECTOR.d, b));
    f.if(i32.and(v128test(op.all, usable), roundsToNearest()), () => {
      f.if(i32.or(inexactKnown(), v128test(op.all, v128op(op.eq, back, b))), () => f.return(r));
    });
  });

  return {
    slow,
    of: (name) => {
      const ref = functions.get(name);
      if (!ref) throw new Error(`instruction table: no floating-point function ${name}`);
      return ref;
    },
  };
}
