import type { MachineMemory } from '@xenolith/mmu';
import { mmxSlot, STATE } from '../state.js';
import {
  EXTENDED,
  type Extended,
  extended,
  INDEFINITE,
  packExtended,
  SCALE,
  type UnpackedExtended,
  unpackExtended,
} from './extended.js';
import type { FloatNumber } from './number.js';
import { BEFORE, type Environment, EXCEPTION, type Precision, round } from './rounding.js';

/** Bits of the status word (Intel SDM volume 1, section 8.1.3). */
export const STATUS = {
  stackFault: 0x40,
  errorSummary: 0x80,
  c0: 0x100,
  c1: 0x200,
  c2: 0x400,
  top: 0x3800,
  c3: 0x4000,
  busy: 0x8000,
} as const;
export const CODES = STATUS.c0 | STATUS.c1 | STATUS.c2 | STATUS.c3;

/** Thrown by an operation whose exception is not masked before it has changed anything. */
export class Unmasked extends Error {}

/**
 * The x87 unit of the running vCPU, in the state block, during one instruction: `begin`, accesses, `finish`.
 */
export class X87Unit implements Environment {
  flags = 0;
  roundedUp = false;
  /** The memory operand is denormal in its own format; as a register's value it is normal. */
  sourceDenormal = false;
  readonly flushToZero = false;
  readonly denormalsAreZero = false;
  /** Condition codes that the instruction sets; C1 says rounding up unless it is given. */
  codes = 0;
  /** Codes that the instruction leaves as they were. */
  kept = 0;
  readonly #view: DataView;
  #stack = 0;
  #deferring = false;

  constructor(readonly machine: MachineMemory) {
    this.#view = machine.view;
  }

  get control(): number {
    return this.#view.getUint16(STATE.fcw, true);
  }
  set control(v: number) {
    this.#view.setUint16(STATE.fcw, v, true);
  }
  get status(): number {
    return this.#view.getUint16(STATE.fsw, true);
  }
  set status(v: number) {
    this.#view.setUint16(STATE.fsw, v, true);
  }
  /** A bit for each physical register that is in use. */
  get used(): number {
    return this.#view.getUint16(STATE.ftw, true);
  }
  set used(v: number) {
    this.#view.setUint16(STATE.ftw, v, true);
  }
  get masks(): number {
    return this.control & 0x3f;
  }
  get rounding(): number {
    return (this.control >> 10) & 3;
  }
  /** What the precision control says. */
  get precision(): Precision {
    return extended(([24, 64, 53, 64] as const)[(this.control >> 8) & 3]!);
  }
  get top(): number {
    return (this.status >> 11) & 7;
  }
  set top(v: number) {
    this.status = (this.status & ~STATUS.top) | ((v & 7) << 11);
  }

  begin(): void {
    this.flags = 0;
    this.#stack = 0;
    this.codes = 0;
    this.kept = CODES & ~STATUS.c1;
    this.roundedUp = false;
  }

  /** Makes the exceptions and codes of the instruction visible. */
  finish(): void {
    const codes = this.codes | (this.roundedUp ? STATUS.c1 : 0);
    this.status = (this.status & ~(CODES & ~this.kept)) | codes | this.flags | this.#stack;
    this.summarize();
  }

  /** The summary bits say whether an exception is pending that is not masked. */
  summarize(): void {
    const summary = STATUS.errorSummary | STATUS.busy;
    const pending = (this.status & ~this.control & 0x3f) !== 0;
    this.status = pending ? this.status | summary : this.status & ~summary;
  }

  isEmpty(i: number): boolean {
    return ((this.used >> ((this.top + i) & 7)) & 1) === 0;
  }

  /** ST(i), without a look at whether it is in use. */
  raw(i: number): Extended {
    const slot = mmxSlot((this.top + i) & 7);
    return this.#view.getBigUint64(slot, true) | (BigInt(this.#view.getUint16(slot + 8, true)) << 64n);
  }

  set(i: number, v: Extended): void {
    const register = (this.top + i) & 7;
    this.#view.setBigUint64(mmxSlot(register), BigInt.asUintN(64, v), true);
    this.#view.setUint16(mmxSlot(register) + 8, Number(v >> 64n), true);
    this.used |= 1 << register;
  }

  free(i: number): void {
    this.used &= ~(1 << ((this.top + i) & 7));
  }

  pop(): void {
    this.free(0);
    this.top += 1;
  }

  get hasStackFault(): boolean {
    return this.#stack !== 0;
  }
  /** An exception was found before the operation that is not masked. */
  get isStopped(): boolean {
    return (this.flags & ~this.masks & BEFORE) !== 0;
  }
  stopIfUnmasked(): void {
    if (this.isStopped) throw new Unmasked();
  }
  /** Runs `body` to its end whatever it raises. */
  deferred<T>(body: () => T): T {
    this.#deferring = true;
    const r = body();
    this.#deferring = false;
    return r;
  }

  /** Notes exceptions; those found before the operation end it when they are not masked. */
  raise(exceptions: number): void {
    this.flags |= exceptions;
    if (!this.#deferring) this.stopIfUnmasked();
  }

  /** Stack underflow; the masked response is the indefinite. */
  underflow(): Extended {
    this.#stack = STATUS.stackFault;
    this.raise(EXCEPTION.invalid);
    return INDEFINITE;
  }

  /** True when all of these registers are in use; else the underflow is noted, and the indefinite is the result. */
  inUse(...registers: readonly number[]): boolean {
    if (!registers.some((i) => this.isEmpty(i))) return true;
    this.underflow();
    return false;
  }

  /** Room for a push: false after a stack overflow, whose masked response is to push the indefinite. */
  hasRoom(): boolean {
    if (this.isEmpty(-1)) return true;
    this.#stack = STATUS.stackFault;
    this.codes |= STATUS.c1;
    this.raise(EXCEPTION.invalid);
    return false;
  }

  push(v: Extended): void {
    this.top -= 1;
    this.set(0, v);
  }

  invalid(): Extended {
    this.raise(EXCEPTION.invalid);
    return INDEFINITE;
  }

  noteDenormal(...operands: readonly UnpackedExtended[]): void {
    if (this.sourceDenormal || operands.some((v) => v.kind === 'number' && v.denormal))
      this.raise(EXCEPTION.denormal);
  }

  /** A result for a register. */
  rounded(v: FloatNumber, precision: Precision = EXTENDED): Extended {
    return packExtended(round(this, v, precision, SCALE));
  }

  unpacked(i: number): UnpackedExtended {
    return unpackExtended(this.raw(i));
  }
}
