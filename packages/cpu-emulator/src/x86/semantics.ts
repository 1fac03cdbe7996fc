import { MMU, type MmuFunctions, TLB_READ, TLB_WRITE, tlbEntry } from '@xenolith/mmu';
import {
  callExpr,
  type FunctionBuilder,
  type I32,
  type I64,
  i32,
  i64,
  type V128,
  v128,
} from '@xenolith/wasm-builder';
import type { Site } from '../core/handler.js';
import { ENGINE, FAULT, RECORD, RECORD_SIZE } from '../core/record.js';
import { Flags, type Size, zeroExtend } from './flags.js';
import { sseOperation } from './float/sse.js';
import { x87Operation } from './float/x87.js';
import type { X86Functions } from './functions.js';
import { FLAG, FLOAT, gprSlot, REG, STATE } from './state.js';

/** What one row does, written against the operands that an instance has. */
export type Semantics = (cx: Context) => void;

/** An operand of one handler: its place is fixed when the handler is generated, its value when it runs. */
export type Place =
  | { kind: 'reg' | 'rm'; size: number; mmx?: true }
  | { kind: 'memory'; size: number; index: boolean }
  | { kind: 'immediate'; size: number }
  | { kind: 'target' }
  | { kind: 'fixed'; size: number; slot: number }
  | { kind: 'constant'; size: number; value: number };

/** A place that is read and then written: the write cannot fault any more. */
export interface Modify {
  value: I64;
  set(v: I64): void;
}

export interface ContextSettings {
  site: Site;
  places: readonly Place[];
  /** Effective operand size in bytes. */
  size: Size;
  functions: X86Functions;
  /** Condition code, for rows with `cc`. */
  cc?: number;
  rep?: 'rep' | 'repz' | 'repnz';
  /** The branch target lies in this page. */
  near?: boolean;
  /** Stack operations use 8 bytes (64-bit mode) or 4; pointers of string instructions may have 2. */
  stack: 8 | 4 | 2;
}

const at = (address: number): I32 => i32.const(address);
/** The SIMD floating-point exception. */
const VECTOR_XM = 19;

/** The operands, memory, stack and flags of the instruction whose semantics is being emitted. */
export class Context {
  readonly site: Site;
  readonly f: FunctionBuilder;
  readonly mmu: MmuFunctions;
  readonly size: Size;
  readonly flags: Flags;
  readonly cc: number;
  readonly rep: ContextSettings['rep'];
  readonly near: boolean;
  readonly stack: 8 | 4 | 2;
  readonly places: readonly Place[];
  readonly #functions: X86Functions;

  constructor(settings: ContextSettings) {
    this.site = settings.site;
    this.f = settings.site.f;
    this.mmu = settings.site.mmu;
    this.size = settings.size;
    this.flags = new Flags(settings.site, settings.functions.flags);
    this.#functions = settings.functions;
    this.cc = settings.cc ?? 0;
    this.rep = settings.rep;
    this.near = settings.near ?? false;
    this.stack = settings.stack;
    this.places = settings.places;
  }

  // ── operands ─────────────────────────────────────────────────────────────────────────────────────────────────────

  sizeOf(i: number): Size {
    const place = this.places[i]!;
    return (place.kind === 'target' ? 8 : place.size) as Size;
  }

  /** Operand `i` is an MMX register. */
  isMmx(i: number): boolean {
    const place = this.places[i]!;
    return (place.kind === 'reg' || place.kind === 'rm') && place.mmx === true;
  }

  /** The instruction works on MMX registers. */
  get mmx(): boolean {
    return this.places.some((_, i) => this.isMmx(i));
  }

  isMemory(i: number): boolean {
    return this.places[i]!.kind === 'memory';
  }

  /** Address of a register operand's slot. */
  slot(i: number): I32 {
    const place = this.places[i]!;
    switch (place.kind) {
      case 'reg':
        return i32.load16_u(this.site.record, RECORD.reg);
      case 'rm':
        return i32.load16_u(this.site.record, RECORD.rm);
      case 'fixed':
        return at(place.slot);
      default:
        throw new Error(`operand ${i} is no register`);
    }
  }

  /** Linear address of the memory operand. */
  address(i = this.places.findIndex((p) => p.kind === 'memory')): I64 {
    const place = this.places[i]!;
    if (place.kind !== 'memory') throw new Error(`operand ${i} is no memory`);
    const { record } = this.site;
    const base = i64.load(i32.load16_u(record, RECORD.rm));
    const displaced = i64.add(base, i64.load32_s(record, RECORD.disp));
    if (!place.index) return displaced;
    const index = i64.load(i32.load16_u(record, RECORD.index));
    return i64.add(displaced, i64.shl(index, i64.load8_u(record, RECORD.scale)));
  }

  /** The operand's value now, zero-extended. */
  read(i: number): I64 {
    const place = this.places[i]!;
    switch (place.kind) {
      case 'memory':
        return this.load(this.address(i), place.size as Size);
      case 'immediate':
        return this.f.let(this.imm());
      case 'target':
        return this.target();
      case 'constant':
        return i64.const(place.value);
      default:
        return this.f.let(loadSized(place.size, this.slot(i)));
    }
  }

  /** Writes an operand; only its size's low bits count. A 32-bit register write clears the upper half. */
  write(i: number, v: I64): void {
    const place = this.places[i]!;
    if (place.kind === 'memory') this.storeTo(this.address(i), this.sizeOf(i), v);
    else this.writeSlot(this.slot(i), this.sizeOf(i), v);
  }

  writeSlot(slot: I32, size: Size, v: I64): void {
    if (size === 4) this.f.store64(slot, 0, zeroExtend(4, v));
    else this.f.store64(slot, 0, v, size);
  }

  /** Reads an operand that will be written: for memory, write access is checked first. */
  modify(i: number): Modify {
    const place = this.places[i]!;
    if (place.kind !== 'memory') return { value: this.read(i), set: (v) => this.write(i, v) };
    const size = place.size as Size;
    const host = this.writable(this.address(i), size);
    return {
      value: this.f.let(loadSized(size, host)),
      set: (v) => {
        this.f.store64(host, 0, v, size);
        this.finishWrite(host);
      },
    };
  }

  gpr(register: number, size: Size = 8): I64 {
    return loadSized(size, at(gprSlot(register)));
  }

  setGpr(register: number, v: I64, size: Size = 8): void {
    this.writeSlot(at(gprSlot(register)), size, v);
  }

  readVector(i: number): V128 {
    const place = this.places[i]!;
    if (this.isMmx(i)) return this.f.let(v128.load64_zero(this.slot(i)));
    if (place.kind !== 'memory') return this.f.let(v128.load(this.slot(i)));
    return this.f.let(v128.load(this.readable(this.address(i), 16)));
  }

  // ── memory ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Where `size` bytes at a linear address can be read at once; leaves with the fault otherwise. */
  readable(linear: I64, size: number): I32 {
    return this.#translate(linear, size, TLB_READ, this.mmu.readSlow);
  }

  /** Where `size` bytes can be read and written; `finishWrite` must follow the write. */
  writable(linear: I64, size: number): I32 {
    return this.#translate(linear, size, TLB_WRITE, this.mmu.writeBegin);
  }

  finishWrite(host: I32): void {
    this.f.if(i32.eq(host, at(MMU.bounce)), () => this.f.call(this.mmu.writeEnd));
  }

  #translate(linear: I64, size: number, table: number, slow: MmuFunctions['readSlow']): I32 {
    const { f } = this;
    const address = f.let(linear);
    const entry = f.let(tlbEntry(at(table), address));
    const host = f.local('i32');
    const lastByte = size === 1 ? address : i64.add(address, i64.const(size - 1));
    const tag = i64.or(i64.and(lastByte, i64.const(-4096)), this.site.asid);
    f.if(
      i64.eq(i64.load(entry), tag),
      () => f.set(host, i32.add(i32.wrap(address), i32.load(entry, 8))),
      () => {
        f.set(host, callExpr<'i32'>(slow, [address, i32.const(size)]));
        f.if(i32.eqz(host), () => this.site.fault());
      },
    );
    return host;
  }

  load(linear: I64, size: Size): I64 {
    return this.f.let(loadSized(size, this.readable(linear, size)));
  }

  storeTo(linear: I64, size: Size, v: I64): void {
    const value = this.f.let(v);
    const host = this.writable(linear, size);
    this.f.store64(host, 0, value, size);
    this.finishWrite(host);
  }

  // ── stack ────────────────────────────────────────────────────────────────────────────────────────────────────────

  stackPointer(): I64 {
    return this.gpr(REG.rsp, this.stack);
  }

  push(v: I64, size: Size): void {
    const value = this.f.let(v);
    const top = this.f.let(zeroExtend(this.stack, i64.sub(this.stackPointer(), i64.const(size))));
    this.storeTo(top, size, value);
    this.setGpr(REG.rsp, top, this.stack);
  }

  /** The top of the stack; rsp stays. */
  top(size: Size): I64 {
    return this.load(this.stackPointer(), size);
  }

  drop(bytes: I64): void {
    this.setGpr(REG.rsp, i64.add(this.stackPointer(), bytes), this.stack);
  }

  // ── control ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Linear address of the instruction behind this one. */
  nextRip(): I64 {
    const { record, pageBase } = this.site;
    return i64.add(
      pageBase,
      i64.extend_u(i32.add(i32.load16_u(record, RECORD.offset), i32.load8_u(record, RECORD.length))),
    );
  }

  target(record: I32 = this.site.record): I64 {
    return i64.add(this.site.pageBase, i64.load(record, RECORD.imm));
  }

  /** Jumps to the relative target of `record` (this one, or the branch that is fused behind it). */
  jumpRelative(record: I32 = this.site.record): void {
    if (this.near) this.site.jumpInPage(record, this.target(record));
    else this.site.jump(this.stack === 8 ? this.target(record) : zeroExtend(4, this.target(record)));
  }

  /** Jumps to an address that `requireCanonical` has passed. */
  jump(target: I64): void {
    this.site.jump(target);
  }

  /** #GP(0), while nothing was changed yet, when 64-bit code would jump to an address that is not canonical. */
  requireCanonical(target: I64): I64 {
    const to = this.f.let(target);
    if (this.stack !== 8) return to;
    const above = i64.shr_u(i64.add(to, i64.const(1n << 47n)), i64.const(48));
    this.f.if(i64.ne(above, i64.const(0)), () => this.raise(13, 0));
    return to;
  }

  /** The same for the relative target; those in this page need no check. */
  requireNearCanonical(): void {
    if (!this.near) this.requireCanonical(this.target());
  }

  /** Leaves with an exception; `code` −1: it has no error code. */
  raise(vector: number, code = -1): void {
    this.f.store(at(FAULT.vector), 0, i32.const(vector));
    this.f.store(at(FAULT.code), 0, i32.const(code));
    this.site.fault();
  }

  /**
   * The result of a floating-point operation on `lanes` lanes, by its name; what it does to MXCSR is done. Leaves with #XM when
   * it raises an exception that is not masked.
   */
  float(name: string, a: V128, b: V128, lanes: number, argument: I32 = i32.const(0)): V128 {
    return this.#checked(
      callExpr<'v128'>(this.#functions.float.of(name), [a, b, i32.const(lanes), argument]),
    );
  }

  /** The same for operations whose common case the row computes itself. */
  slowFloat(name: string, a: V128, b: V128, lanes: number, argument: I32 = i32.const(0)): V128 {
    const operation = i32.const(sseOperation(name));
    return this.#checked(
      callExpr<'v128'>(this.#functions.float.slow, [a, b, operation, i32.const(lanes), argument]),
    );
  }

  /** Carries out an operation of the x87 unit; 1 when `FLOAT.result` is to be stored. `i` is the register ST(i) that it names. */
  x87(name: string, i: I32 = i32.const(0)): I32 {
    return this.f.let(callExpr<'i32'>(this.#functions.x87, [i32.const(x87Operation(name)), i]));
  }

  /** The x87 tag word with two bits a register. */
  x87Tags(): I32 {
    return this.f.let(callExpr<'i32'>(this.#functions.x87Tags, []));
  }

  #checked(call: V128): V128 {
    const r = this.f.let(call);
    this.f.if(i32.load(at(FLOAT.fault)), () => {
      this.f.store(at(FLOAT.fault), 0, i32.const(0));
      this.raise(VECTOR_XM);
    });
    return r;
  }

  /** #GP(0) unless the linear address is a multiple of `bytes`. */
  requireAligned(address: I64, bytes: number): void {
    this.f.if(i32.and(i32.wrap(address), i32.const(bytes - 1)), () => this.raise(13, 0));
  }

  imm(): I64 {
    return i64.load(this.site.record, RECORD.imm);
  }

  nextRecord(): I32 {
    return i32.add(this.site.record, i32.const(RECORD_SIZE));
  }

  systemFlags(): I32 {
    return i32.load(at(STATE.systemFlags));
  }

  setSystemFlags(v: I32): void {
    this.f.store(at(STATE.systemFlags), 0, v);
  }

  /** POPF and IRET at CPL 3 with IOPL 0: neither IF nor IOPL changes, and 16 bits leave the upper flags. */
  setRflags(v: I32, size: Size): void {
    const flags = this.f.let(v);
    this.flags.all(flags);
    const own = FLAG.tf | FLAG.df | FLAG.nt | FLAG.ac | FLAG.id;
    const mask = size === 2 ? own & 0xffff : own;
    this.setSystemFlags(
      i32.or(i32.and(this.systemFlags(), i32.const(~mask)), i32.and(flags, i32.const(mask))),
    );
  }

  /** Instructions retired in this run before this one. */
  retired(): I32 {
    return i32.sub(i32.sub(i32.load(at(ENGINE.runBudget)), this.site.budget()), i32.const(1));
  }
}

export function loadSized(size: number, address: I32, offset = 0): I64 {
  switch (size) {
    case 1:
      return i64.load8_u(address, offset);
    case 2:
      return i64.load16_u(address, offset);
    case 4:
      return i64.load32_u(address, offset);
    default:
      return i64.load(address, offset);
  }
}
