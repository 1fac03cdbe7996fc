import type { MachineMemory } from '@xenolith/mmu';
import { ENGINE } from '../core/record.js';
import type { CpuRegisters } from '../processor.js';
import { KIND, type Size } from './flags.js';
import { ARITHMETIC_FLAGS, FLAG, mmxSlot, STATE } from './state.js';

/** The running vCPU's registers, as views of the state block. */
export class X86Registers implements CpuRegisters {
  readonly gpr: BigUint64Array;
  readonly selectors: Uint16Array;
  readonly xmm: Uint8Array;
  readonly #view: DataView;

  constructor(machine: MachineMemory) {
    const buffer = machine.memory.buffer;
    this.#view = machine.view;
    this.gpr = new BigUint64Array(buffer, STATE.gpr, 16);
    this.selectors = new Uint16Array(buffer, STATE.selectors, 6);
    this.xmm = new Uint8Array(buffer, STATE.xmm, 256);
  }

  get rip(): bigint {
    return this.#view.getBigUint64(ENGINE.rip, true);
  }
  set rip(v: bigint) {
    this.#view.setBigUint64(ENGINE.rip, v, true);
  }

  get rflags(): bigint {
    return BigInt(
      (this.#view.getUint32(STATE.systemFlags, true) & ~ARITHMETIC_FLAGS) | 2 | this.#arithmetic(),
    );
  }
  set rflags(v: bigint) {
    const low = Number(v & 0x3fffffn);
    this.#view.setUint32(STATE.systemFlags, low & ~ARITHMETIC_FLAGS & ~2, true);
    this.#view.setUint32(STATE.flagKind, KIND.bits, true);
    this.#view.setUint32(STATE.flagBits, low & ARITHMETIC_FLAGS, true);
  }

  /** The lazy flags gathered, as emitFlagFunctions does it in the module. */
  #arithmetic(): number {
    const v = this.#view;
    const kind = v.getUint32(STATE.flagKind, true);
    const bits = v.getUint32(STATE.flagBits, true);
    if (kind === KIND.bits) return bits;
    const r = v.getBigInt64(STATE.flagResult, true);
    let flags =
      (r === 0n ? FLAG.zf : 0) | (r < 0n ? FLAG.sf : 0) | (evenParity(Number(r & 0xffn)) ? FLAG.pf : 0);
    if (kind < KIND.inc) {
      return flags | this.#carryOverflow(kind, r, v.getBigInt64(STATE.flagOperand, true));
    }
    // INC and DEC: CF is what the operation before them left.
    const before = this.#carryOverflow(
      v.getUint32(STATE.carryKind, true),
      v.getBigInt64(STATE.carryResult, true),
      v.getBigInt64(STATE.carryOperand, true),
    );
    const dec = kind >= KIND.dec;
    const sign = 1n << BigInt(8 * (1 << (kind - (dec ? KIND.dec : KIND.inc))) - 1);
    if (r === (dec ? sign - 1n : -sign)) flags |= FLAG.of;
    if ((r & 15n) === (dec ? 15n : 0n)) flags |= FLAG.af;
    return flags | (before & FLAG.cf);
  }

  /** CF, OF and AF of the kinds below inc. */
  #carryOverflow(kind: number, r: bigint, operand: bigint): number {
    if (kind <= KIND.result)
      return this.#view.getUint32(STATE.flagBits, true) & (FLAG.cf | FLAG.of | FLAG.af);
    if (kind === KIND.logic) return 0;
    const isSub = kind >= KIND.sub;
    const width = 8 * ((1 << (kind - (isSub ? KIND.sub : KIND.add))) as Size);
    const unsigned = (x: bigint): bigint => BigInt.asUintN(width, x);
    const a = unsigned(operand);
    const u = unsigned(r);
    const b = unsigned(isSub ? a - u : u - a);
    const sign = 1n << BigInt(width - 1);
    let flags = 0;
    if (isSub ? a < b : u < a) flags |= FLAG.cf;
    if ((isSub ? (a ^ b) & (a ^ u) : (a ^ u) & (b ^ u)) & sign) flags |= FLAG.of;
    if ((a ^ b ^ u) & 0x10n) flags |= FLAG.af;
    return flags;
  }

  get fsBase(): bigint {
    return this.#view.getBigUint64(STATE.fsBase, true);
  }
  set fsBase(v: bigint) {
    this.#view.setBigUint64(STATE.fsBase, v, true);
  }
  get gsBase(): bigint {
    return this.#view.getBigUint64(STATE.gsBase, true);
  }
  set gsBase(v: bigint) {
    this.#view.setBigUint64(STATE.gsBase, v, true);
  }
  get cpl(): number {
    return this.#view.getUint32(STATE.cpl, true);
  }
  set cpl(v: number) {
    this.#view.setUint32(STATE.cpl, v, true);
  }
  get long(): boolean {
    return this.#view.getUint32(STATE.long, true) !== 0;
  }
  set long(v: boolean) {
    this.#view.setUint32(STATE.long, Number(v), true);
  }
  get mxcsr(): number {
    return this.#view.getUint32(STATE.mxcsr, true);
  }
  set mxcsr(v: number) {
    this.#view.setUint32(STATE.mxcsr, v, true);
  }

  loadFxImage(image: Uint8Array): void {
    const from = new DataView(image.buffer, image.byteOffset, 512);
    const v = this.#view;
    const control = (from.getUint16(0, true) & 0x1f3f) | 0x40;
    const status = from.getUint16(2, true);
    // The summary bits follow from the exceptions and their masks.
    const pending = (status & ~control & 0x3f) !== 0;
    v.setUint16(STATE.fcw, control, true);
    v.setUint16(STATE.fsw, pending ? status | 0x8080 : status & ~0x8080, true);
    v.setUint16(STATE.ftw, from.getUint8(4), true);
    const bytes = new Uint8Array(v.buffer);
    for (let i = 0; i < 8; i++)
      bytes.set(image.subarray(32 + 16 * i, 42 + 16 * i), mmxSlot(((status >> 11) + i) & 7));
    this.mxcsr = from.getUint32(24, true) & 0xffff;
    this.xmm.set(image.subarray(160, 416));
  }
}

function evenParity(byte: number): boolean {
  let v = byte;
  v ^= v >> 4;
  v ^= v >> 2;
  v ^= v >> 1;
  return (v & 1) === 0;
}
