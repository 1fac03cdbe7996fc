import { ByteWriter } from './bytes.js';
import {
  type Expr,
  type F32,
  type F64,
  type I32,
  type I64,
  memoryOp,
  type V128,
  type ValueType,
  valueTypeCode,
} from './expr.js';

/** A local variable; as an expression, its value. */
export interface Local<T extends ValueType = ValueType> extends Expr<T> {
  readonly index: number;
}

/** A branch target: opened by `block` or `loop`. */
export interface Label {
  readonly depth: number;
}

export interface FunctionSignature {
  params: readonly ValueType[];
  results: readonly ValueType[];
}

/** What a module gives for a function: callable by index. */
export interface FunctionRef extends FunctionSignature {
  readonly index: number;
}

/** Writes one function body, statement by statement. Locals taken inside `scope` are used again after it. */
export class FunctionBuilder {
  readonly #code = new ByteWriter();
  readonly #locals: ValueType[] = [];
  readonly #free: Record<ValueType, number[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] };
  #scopes: Local[][] = [];
  #depth = 0;

  constructor(readonly signature: FunctionSignature) {}

  /** Parameter `index`, whose declared type must be `type`. */
  param<T extends ValueType>(type: T, index: number): Local<T> {
    if (this.signature.params[index] !== type)
      throw new TypeError(`wasm-builder: parameter ${index} is no ${type}`);
    return makeLocal(type, index);
  }

  local<T extends ValueType>(type: T): Local<T> {
    const free = this.#free[type].pop();
    const index = free ?? this.signature.params.length + this.#locals.push(type) - 1;
    const local = makeLocal(type, index);
    this.#scopes.at(-1)?.push(local);
    return local;
  }

  /** Evaluates now, into a fresh local. Constants and locals that are already values stay as they are. */
  let<T extends ValueType>(value: Expr<T>): Expr<T> {
    if (value.constant !== undefined) return value;
    const local = this.local(value.type);
    this.set(local, value);
    return local;
  }

  scope(body: () => void): void {
    this.#scopes.push([]);
    body();
    for (const l of this.#scopes.pop() ?? []) this.#free[l.type].push(l.index);
  }

  set<T extends ValueType>(local: Local<T>, value: Expr<T>): void {
    value.emit(this.#code);
    this.#code.byte(0x21);
    this.#code.u32(local.index);
  }

  /** Pushes a value (for a multi-value or result position). */
  push(value: Expr): void {
    value.emit(this.#code);
  }

  drop(value: Expr): void {
    value.emit(this.#code);
    this.#code.byte(0x1a);
  }

  block(body: (end: Label) => void): void {
    this.#structured(0x02, body);
  }

  loop(body: (top: Label) => void): void {
    this.#structured(0x03, body);
  }

  #structured(opcode: number, body: (label: Label) => void): void {
    this.#code.byte(opcode);
    this.#code.byte(0x40);
    this.#depth++;
    body({ depth: this.#depth });
    this.#depth--;
    this.#code.byte(0x0b);
  }

  if(condition: I32, then: () => void, otherwise?: () => void): void {
    condition.emit(this.#code);
    this.#code.byte(0x04);
    this.#code.byte(0x40);
    this.#depth++;
    then();
    if (otherwise) {
      this.#code.byte(0x05);
      otherwise();
    }
    this.#depth--;
    this.#code.byte(0x0b);
  }

  br(label: Label): void {
    this.#code.byte(0x0c);
    this.#code.u32(this.#depth - label.depth);
  }

  brIf(label: Label, condition: I32): void {
    condition.emit(this.#code);
    this.#code.byte(0x0d);
    this.#code.u32(this.#depth - label.depth);
  }

  brTable(labels: readonly Label[], otherwise: Label, index: I32): void {
    index.emit(this.#code);
    this.#code.byte(0x0e);
    this.#code.u32(labels.length);
    for (const l of labels) this.#code.u32(this.#depth - l.depth);
    this.#code.u32(this.#depth - otherwise.depth);
  }

  return(...values: Expr[]): void {
    for (const v of values) v.emit(this.#code);
    this.#code.byte(0x0f);
  }

  unreachable(): void {
    this.#code.byte(0x00);
  }

  call(target: FunctionRef, ...args: Expr[]): void {
    callExpr(target, args).emit(this.#code);
  }

  store(address: I32, offset: number, value: I32): void {
    memoryOp('i32', [0x36], address, offset, [value]).emit(this.#code);
  }
  store8(address: I32, offset: number, value: I32): void {
    memoryOp('i32', [0x3a], address, offset, [value]).emit(this.#code);
  }
  store16(address: I32, offset: number, value: I32): void {
    memoryOp('i32', [0x3b], address, offset, [value]).emit(this.#code);
  }
  /** Stores the low `bytes` (1, 2, 4, 8) of an i64. */
  store64(address: I32, offset: number, value: I64, bytes: 1 | 2 | 4 | 8 = 8): void {
    const code = { 1: 0x3c, 2: 0x3d, 4: 0x3e, 8: 0x37 }[bytes];
    memoryOp('i64', [code], address, offset, [value]).emit(this.#code);
  }
  storeV128(address: I32, offset: number, value: V128): void {
    memoryOp('v128', [0xfd, 11], address, offset, [value]).emit(this.#code);
  }
  storeF32(address: I32, offset: number, value: F32): void {
    memoryOp('f32', [0x38], address, offset, [value]).emit(this.#code);
  }
  storeF64(address: I32, offset: number, value: F64): void {
    memoryOp('f64', [0x39], address, offset, [value]).emit(this.#code);
  }
  memoryCopy(to: I32, from: I32, length: I32): void {
    for (const e of [to, from, length]) e.emit(this.#code);
    this.#code.append([0xfc, 10, 0, 0]);
  }
  memoryFill(to: I32, byte: I32, length: I32): void {
    for (const e of [to, byte, length]) e.emit(this.#code);
    this.#code.append([0xfc, 11, 0]);
  }

  /** The body as the code section wants it, without its size. */
  finish(): Uint8Array {
    if (this.#depth !== 0) throw new Error('wasm-builder: a block is still open');
    const w = new ByteWriter();
    w.u32(this.#locals.length);
    for (const t of this.#locals) {
      w.u32(1);
      w.byte(valueTypeCode[t]);
    }
    w.append(this.#code.view());
    w.byte(0x0b);
    return w.toBytes();
  }
}

function makeLocal<T extends ValueType>(type: T, index: number): Local<T> {
  return {
    type,
    index,
    emit(w) {
      w.byte(0x20);
      w.u32(index);
    },
  };
}

/** A call as a value; with no result its `type` is meaningless and it must be used through `FunctionBuilder.call`. */
export function callExpr<T extends ValueType>(target: FunctionRef, args: readonly Expr[]): Expr<T> {
  checkTypes(target.params, args);
  return {
    type: (target.results[0] ?? 'i32') as T,
    emit(w) {
      for (const a of args) a.emit(w);
      w.byte(0x10);
      w.u32(target.index);
    },
  };
}

/** An indirect call through table 0 by a function type's index. */
export function callIndirect<T extends ValueType>(
  typeIndex: number,
  signature: FunctionSignature,
  index: I32,
  args: readonly Expr[],
): Expr<T> {
  checkTypes(signature.params, args);
  return {
    type: (signature.results[0] ?? 'i32') as T,
    emit(w) {
      for (const a of args) a.emit(w);
      index.emit(w);
      w.byte(0x11);
      w.u32(typeIndex);
      w.u32(0);
    },
  };
}

function checkTypes(params: readonly ValueType[], args: readonly Expr[]): void {
  if (params.length !== args.length || params.some((p, i) => p !== args[i]!.type)) {
    throw new TypeError(
      `wasm-builder: a call expects (${params.join(', ')}) and got (${args.map((a) => a.type).join(', ')})`,
    );
  }
}
