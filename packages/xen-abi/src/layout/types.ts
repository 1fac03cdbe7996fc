import type { Abi } from './abi.js';

/** What every accessor stands on: a view and the byte offset of its first byte in that view. */
export interface Place {
  readonly $view: DataView;
  readonly $base: number;
}

/** What a type of the layout language is, for whatever walks a layout (see `walkFields`). */
export type Kind = 'unsigned' | 'signed' | 'handle' | 'bytes' | 'text' | 'array' | 'compound' | 'absent';

/** A type of the layout language, resolved for one ABI. */
export interface Resolved<Value> {
  readonly kind: Kind;
  /** Bytes, including trailing padding. */
  readonly size: number;
  /** Alignment in bytes. */
  readonly align: number;
  get(view: DataView, at: number): Value;
  /** Missing for types that are reached through an accessor of their own (structs, unions, arrays). */
  set?(view: DataView, at: number, value: Value): void;
  /** True if `get` makes an accessor that a parent may keep. */
  readonly keep: boolean;
}

declare const access: unique symbol;

/** A type of the layout language. `Mode` says whether a field of this type may be assigned. */
export interface FieldType<Value, Mode extends 'scalar' | 'compound' = 'scalar' | 'compound'> {
  readonly [access]?: Mode;
  resolve(abi: Abi): Resolved<Value>;
}

export type Scalar<Value> = FieldType<Value, 'scalar'>;
export type Compound<Value> = FieldType<Value, 'compound'>;

type Get<V> = (view: DataView, at: number) => V;
type Set<V> = (view: DataView, at: number, value: V) => void;

function scalar<V>(
  kind: Kind,
  size: number,
  get: Get<V>,
  set: Set<V>,
  alignOf?: (abi: Abi) => number,
): Scalar<V> {
  return { resolve: (abi) => ({ kind, size, align: alignOf?.(abi) ?? size, get, set, keep: false }) };
}

export const u8: Scalar<number> = scalar(
  'unsigned',
  1,
  (v, at) => v.getUint8(at),
  (v, at, x) => v.setUint8(at, x),
);
export const s8: Scalar<number> = scalar(
  'signed',
  1,
  (v, at) => v.getInt8(at),
  (v, at, x) => v.setInt8(at, x),
);
export const u16: Scalar<number> = scalar(
  'unsigned',
  2,
  (v, at) => v.getUint16(at, true),
  (v, at, x) => v.setUint16(at, x, true),
);
export const s16: Scalar<number> = scalar(
  'signed',
  2,
  (v, at) => v.getInt16(at, true),
  (v, at, x) => v.setInt16(at, x, true),
);
export const u32: Scalar<number> = scalar(
  'unsigned',
  4,
  (v, at) => v.getUint32(at, true),
  (v, at, x) => v.setUint32(at, x, true),
);
export const s32: Scalar<number> = scalar(
  'signed',
  4,
  (v, at) => v.getInt32(at, true),
  (v, at, x) => v.setInt32(at, x, true),
);
export const u64: Scalar<bigint> = scalar(
  'unsigned',
  8,
  (v, at) => v.getBigUint64(at, true),
  (v, at, x) => v.setBigUint64(at, x, true),
  (abi) => abi.u64Align,
);
export const s64: Scalar<bigint> = scalar(
  'signed',
  8,
  (v, at) => v.getBigInt64(at, true),
  (v, at, x) => v.setBigInt64(at, x, true),
  (abi) => abi.u64Align,
);

const word32: Scalar<bigint> = scalar(
  'unsigned',
  4,
  (v, at) => BigInt(v.getUint32(at, true)),
  (v, at, x) => v.setUint32(at, Number(BigInt.asUintN(32, x)), true),
);

/** C's `unsigned long` and Xen's `xen_ulong_t` and `xen_pfn_t`: always a bigint, 4 or 8 bytes by ABI. */
export const ulong: Scalar<bigint> = { resolve: (abi) => (abi.wordSize === 8 ? u64 : word32).resolve(abi) };

/** A guest handle or pointer: a guest virtual address. Same shape as {@link ulong}. */
export const handle: Scalar<bigint> = {
  resolve: (abi) => ({ ...ulong.resolve(abi), kind: 'handle' }),
};

/**
 * A fixed run of bytes. Reading gives a live `Uint8Array` on the memory itself; assigning copies at most
 * `length` bytes in and clears the rest.
 *
 * @throws RangeError when more than `length` bytes are assigned.
 */
export function bytes(length: number): Scalar<Uint8Array> {
  const get: Get<Uint8Array> = (v, at) => new Uint8Array(v.buffer, v.byteOffset + at, length);
  const set: Set<Uint8Array> = (v, at, x) => {
    if (x.length > length) throw new RangeError(`${x.length} bytes do not fit in ${length}`);
    const target = get(v, at);
    target.fill(0, x.length);
    target.set(x);
  };
  return { resolve: () => ({ kind: 'bytes', size: length, align: 1, get, set, keep: false }) };
}

/**
 * A `char` array that holds text up to its first NUL, one byte a character (Latin-1). Assigning needs room
 * for the text and one NUL, and clears the rest.
 *
 * @throws RangeError when the text is too long or holds a character above U+00FF.
 */
export function text(length: number): Scalar<string> {
  const raw = bytes(length);
  const get: Get<string> = (v, at) => {
    let s = '';
    for (let i = 0; i < length; i++) {
      const code = v.getUint8(at + i);
      if (code === 0) break;
      s += String.fromCharCode(code);
    }
    return s;
  };
  const set: Set<string> = (v, at, s) => {
    if (s.length >= length)
      throw new RangeError(`text of ${s.length} characters does not fit in ${length} bytes`);
    const encoded = new Uint8Array(length);
    for (let i = 0; i < s.length; i++) {
      const code = s.charCodeAt(i);
      if (code > 0xff) throw new RangeError(`character U+${code.toString(16)} is not one byte`);
      encoded[i] = code;
    }
    copyIn(v, at, encoded);
  };
  return { resolve: (abi) => ({ ...raw.resolve(abi), kind: 'text', get, set }) };
}

function copyIn(view: DataView, at: number, source: Uint8Array): void {
  new Uint8Array(view.buffer, view.byteOffset + at, source.length).set(source);
}

/**
 * A field that the C declaration has under one ABI only. Elsewhere it takes no space, `walkFields` leaves it out,
 * and reading or assigning it throws a TypeError.
 */
export function only<V, M extends 'scalar' | 'compound'>(abi: Abi, type: FieldType<V, M>): FieldType<V, M> {
  const refuse = (): never => {
    throw new TypeError(`this field exists in ${abi.name} layouts only`);
  };
  const absent: Resolved<V> = { kind: 'absent', size: 0, align: 1, get: refuse, set: refuse, keep: false };
  return { resolve: (other) => (other.name === abi.name ? type.resolve(other) : absent) };
}
