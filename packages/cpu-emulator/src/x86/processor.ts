import { InvariantError } from '@xenolith/host-interface';
import {
  FAULT_NOT_CANONICAL,
  FRAME,
  FRAME_FLAG_CODE,
  JUMP_CACHE,
  JUMP_CACHE_ENTRIES,
  type MachineMemory,
  MMU,
  PAGE_SIZE,
  TLB_ENTRIES,
  TLB_ENTRY_SIZE,
  TLB_READ,
  TLB_WRITE,
} from '@xenolith/mmu';
import { CodeCache } from '../core/code-cache.js';
import { ENGINE, RUN } from '../core/record.js';
import {
  type CpuRegisters,
  Exit,
  type ExitKind,
  type PrivilegedInstruction,
  type Processor,
} from '../processor.js';
import { BlockBuilder } from './block-builder.js';
import { Breakpoints } from './breakpoints.js';
import { decode, type Instruction, MAX_LENGTH, RIP_BASE } from './decode.js';
import { disassemble } from './disassemble.js';
import { executeSse } from './float/sse.js';
import { executeX87, fullTags } from './float/x87.js';
import { interpreterBytes } from './interpreter-bytes.js';
import { x86Instances } from './numbering.js';
import { type OperandSource, privilegedInstruction } from './privileged.js';
import { X86Registers } from './registers.js';
import { isStackAccess } from './stack-fault.js';
import { FLAG, STATE } from './state.js';

interface InterpreterExports {
  run(budget: number): number;
  translate(linear: bigint, access: number): number;
  flushAll(): void;
  flushPage(linear: bigint): void;
  forgetWrites(page: number): void;
}

/** BS of DR6: a single step. */
const DR6_STEP = 0x4000;

/** PAUSEs in one run before it ends: a spinning guest gives up its slice. */
const PAUSE_LIMIT = 64;
const MAX_ASID = 4094;

/** The x86-64 processor in deprivileged mode: guest code runs at CPL 3 and everything privileged exits. */
export class X86Processor implements Processor {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly regs: CpuRegisters;
  readonly stateSize = STATE.end - STATE.start + 8;

  retired = 0;
  vector = 0;
  errorCode = -1;
  cr2 = 0n;
  debugStatus = 0;
  length = 0;
  privileged: PrivilegedInstruction = { op: 'hlt' };

  onForeignFrame: (mfn: number, write: boolean) => boolean = () => false;
  onRandom: () => bigint = () => {
    throw new InvariantError('RDRAND needs the host to set onRandom');
  };

  readonly #exports: InterpreterExports;
  readonly #cache: CodeCache;
  readonly #builder: BlockBuilder;
  readonly #breakpoints = new Breakpoints();
  #lastAsid = 0;

  constructor(
    readonly machine: MachineMemory,
    module: WebAssembly.Module,
  ) {
    this.memory = machine.memory;
    this.bytes = machine.bytes;
    this.view = machine.view;
    this.regs = new X86Registers(machine);
    const instance = new WebAssembly.Instance(module, {
      env: {
        memory: machine.memory,
        foreign: (mfn: number, write: number) => Number(this.onForeignFrame(mfn, write !== 0)),
        codeWritten: (address: number, length: number) => this.#cache.written(address >>> 0, length),
        watched: (linear: bigint, size: number, write: number) =>
          this.#breakpoints.access(BigInt.asUintN(64, linear), size, write !== 0),
        decode: (address: number, rip: bigint) => this.#decode(address >>> 0, rip),
        sse: (operation: number, lanes: number, argument: number) =>
          executeSse(machine, operation, lanes, argument),
        x87: (operation: number, i: number) => executeX87(machine, operation, i),
        x87Tags: () => fullTags(machine),
      },
    });
    this.#exports = instance.exports as unknown as InterpreterExports;
    this.#cache = new CodeCache(
      machine,
      x86Instances().micro.stale,
      (page) => this.#exports.forgetWrites(page),
      () => this.#forgetJumps(),
    );
    this.#builder = new BlockBuilder(machine, this.#cache);
    this.view.setUint32(MMU.frames, machine.frames, true);
    this.view.setUint32(MMU.user, 1, true);
    this.view.setUint32(MMU.writeProtect, 1, true);
    this.#exports.flushAll();
    this.resetState();
  }

  #decode(address: number, rip: bigint): number {
    return this.#builder.build(address, this.regs.long, () => {
      const next = BigInt.asIntN(64, (rip & ~0xfffn) + 4096n);
      return this.#exports.translate(next, 2) >>> 0;
    });
  }

  // ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────

  run(budget: number): ExitKind {
    const { view } = this;
    view.setUint32(ENGINE.pauses, PAUSE_LIMIT, true);
    this.#enterMode();
    this.retired = 0;
    const breakpoints = this.#breakpoints;
    for (;;) {
      const left = budget - this.retired;
      if (left <= 0) return Exit.budget;
      const flags = view.getUint32(STATE.systemFlags, true);
      const trap = (flags & FLAG.tf) !== 0;
      const alone = trap || breakpoints.any;
      if (flags & FLAG.rf) this.#setResume(false);
      else if (breakpoints.any) {
        const met = breakpoints.at(this.regs.rip);
        if (met) return this.#debug(met);
      }
      breakpoints.accessed = 0;
      const slice = alone ? 1 : left;
      const result = this.#exports.run(slice);
      const used = slice - view.getInt32(ENGINE.budget, true);
      this.retired += used;
      this.#advanceTsc(used);
      if (result === RUN.fault) return this.#fault();
      if (result === RUN.syscall) {
        this.length = view.getUint32(ENGINE.syscallLength, true);
        return Exit.syscall;
      }
      if (result === RUN.instruction) {
        const exit = this.#instructionExit();
        if (exit !== undefined) return exit;
      }
      const met = breakpoints.accessed | (trap ? DR6_STEP : 0);
      if (met) return this.#debug(met);
      // It left behind an instruction that set TF, or that was one PAUSE too many.
      if (result === RUN.pause && view.getUint32(ENGINE.pauses, true) === 0) return Exit.pause;
    }
  }

  /** The mode that code is decoded for; addresses of the other mode's code are no longer known. */
  #enterMode(): void {
    const mode = this.view.getUint32(STATE.long, true);
    if (mode === this.view.getUint32(ENGINE.mode, true)) return;
    this.view.setUint32(ENGINE.mode, mode, true);
    this.#forgetJumps();
  }

  #forgetJumps(): void {
    this.bytes.fill(0xff, JUMP_CACHE, JUMP_CACHE + JUMP_CACHE_ENTRIES * 16);
  }

  /** RF: a fault sets it in what the handler finds, and the next instruction that completes clears it. */
  #setResume(set: boolean): void {
    const flags = this.view.getUint32(STATE.systemFlags, true);
    this.view.setUint32(STATE.systemFlags, set ? flags | FLAG.rf : flags & ~FLAG.rf, true);
  }

  #debug(status: number): ExitKind {
    this.debugStatus = status;
    return this.#exception(1, -1);
  }

  #exception(vector: number, errorCode: number): ExitKind {
    this.vector = vector;
    this.errorCode = errorCode;
    return Exit.exception;
  }

  #fault(): ExitKind {
    this.#setResume(true);
    const vector = this.view.getUint32(MMU.faultVector, true);
    const code = this.view.getInt32(MMU.faultCode, true);
    const address = this.view.getBigUint64(MMU.faultAddress, true);
    if (vector === FAULT_NOT_CANONICAL) {
      const insn = this.#instructionAt(this.regs.rip);
      const stack =
        typeof insn === 'object' && isStackAccess(insn, address, (i) => this.#operands.address(i));
      return this.#exception(stack ? 12 : 13, 0);
    }
    this.cr2 = address;
    return this.#exception(vector, code);
  }

  /** The interpreter stopped in front of an instruction. Undefined: it was done here. */
  #instructionExit(): ExitKind | undefined {
    const insn = this.#instructionAt(this.regs.rip);
    if (!insn) return this.#fault();
    if (typeof insn === 'string') return this.#invalid();
    this.length = insn.length;
    const { name } = insn.encoded.row;
    switch (name) {
      case 'ud2':
        return this.#invalid();
      case 'int1':
        this.#advance(insn.length);
        return this.#debug(0);
      case 'int3':
        this.#advance(insn.length);
        return this.#exception(3, -1);
      case 'into':
        if (!(this.regs.rflags & BigInt(FLAG.of))) return this.#done(insn);
        this.#advance(insn.length);
        return this.#exception(4, -1);
      case 'int':
        this.vector = Number(insn.immediate & 0xffn);
        return Exit.softwareInterrupt;
      case 'rdrand':
        return this.#rdrand(insn);
    }
    const described = privilegedInstruction(insn, this.#operands);
    if (!described) return this.#fault();
    if (
      described.op === 'loadSegment' &&
      described.selector < 4 &&
      described.segment !== 2 &&
      described.segment !== 1
    ) {
      return this.#loadNull(described, insn);
    }
    this.privileged = described;
    this.#setResume(true);
    return Exit.privileged;
  }

  #invalid(): ExitKind {
    this.#setResume(true);
    return this.#exception(6, -1);
  }

  #advance(bytes: number): void {
    const next = this.regs.rip + BigInt(bytes);
    this.regs.rip = this.regs.long ? BigInt.asUintN(64, next) : next & 0xffff_ffffn;
  }

  /** Counts an instruction that was executed here and goes on. */
  #done(insn: Instruction): undefined {
    this.#advance(insn.length);
    this.retired++;
    this.#advanceTsc(1);
  }

  /** Numbers instead of a bigint, which would be made at each exit. */
  #advanceTsc(instructions: number): void {
    const low = this.view.getUint32(ENGINE.tsc, true) + instructions;
    this.view.setUint32(ENGINE.tsc, low, true);
    if (low > 0xffff_ffff)
      this.view.setUint32(ENGINE.tsc + 4, this.view.getUint32(ENGINE.tsc + 4, true) + 1, true);
  }

  #setGpr(register: number, value: bigint, size: 2 | 4 | 8): void {
    const { gpr } = this.regs;
    gpr[register] = size === 2 ? (gpr[register]! & ~0xffffn) | value : value;
  }

  #inStackSize(v: bigint): bigint {
    return BigInt.asUintN(this.regs.long ? 64 : 32, v);
  }

  #rdrand(insn: Instruction): undefined {
    const random = BigInt.asUintN(insn.rawSize * 8, this.onRandom());
    this.#setGpr(insn.rm, random, insn.rawSize);
    const cleared = this.regs.rflags & ~BigInt(FLAG.cf | FLAG.of | FLAG.sf | FLAG.zf | FLAG.af | FLAG.pf);
    this.regs.rflags = cleared | BigInt(FLAG.cf);
    return this.#done(insn);
  }

  /** A null selector needs no descriptor; it clears the base (CPUID shows NullSelectorClearsBase). */
  #loadNull(described: Extract<PrivilegedInstruction, { op: 'loadSegment' }>, insn: Instruction): undefined {
    const { segment, selector, popped, loaded } = described;
    this.regs.selectors[segment] = selector;
    if (segment === 4) this.regs.fsBase = 0n;
    if (segment === 5) this.regs.gsBase = 0n;
    if (popped) this.regs.gpr[4] = this.#inStackSize(this.regs.gpr[4]! + BigInt(popped));
    if (loaded) this.#setGpr(loaded.gpr, loaded.value, loaded.operandSize);
    return this.#done(insn);
  }

  /** Decodes the instruction at a linear address; undefined when it cannot be fetched. */
  #instructionAt(rip: bigint): Instruction | string | undefined {
    const buffer = new Uint8Array(MAX_LENGTH);
    const start = this.translate(rip, 2);
    if (start < 0) return undefined;
    const here = Math.min(MAX_LENGTH, PAGE_SIZE - (start & (PAGE_SIZE - 1)));
    buffer.set(this.bytes.subarray(start, start + here));
    const mode = this.regs.long ? 64 : 32;
    const first = decode(buffer.subarray(0, here), 0, mode);
    if (first !== 'incomplete' || here === MAX_LENGTH) return first;
    const next = this.translate(BigInt.asUintN(64, rip + BigInt(here)), 2);
    if (next < 0) return undefined;
    buffer.set(this.bytes.subarray(next, next + MAX_LENGTH - here), here);
    return decode(buffer, 0, mode);
  }

  readonly #operands: OperandSource = {
    gpr: (register) => this.regs.gpr[register]!,
    stackPointer: () => this.#inStackSize(this.regs.gpr[4]!),
    segmentBase: (segment) => (segment === 4 ? this.regs.fsBase : segment === 5 ? this.regs.gsBase : 0n),
    address: (insn) => {
      const m = insn.memory!;
      if (m.absolute !== undefined) return m.absolute;
      const { gpr } = this.regs;
      const base = m.base === RIP_BASE ? this.regs.rip + BigInt(insn.length) : m.base < 0 ? 0n : gpr[m.base]!;
      const index = m.index < 0 ? 0n : gpr[m.index]! << BigInt(m.scale);
      const sum = BigInt.asUintN(insn.addressSize * 8, base + index + BigInt(m.disp));
      return BigInt.asUintN(64, sum + this.#operands.segmentBase(insn.segment));
    },
    read: (address, size) => {
      let value = 0n;
      // Upwards, so that a fault names the first byte that is not there.
      for (let i = 0; i < size; i++) {
        const host = this.translate(BigInt.asUintN(64, address + BigInt(i)), 0);
        if (host < 0) return undefined;
        value |= BigInt(this.bytes[host]!) << BigInt(8 * i);
      }
      return value;
    },
  };

  // ── address spaces ───────────────────────────────────────────────────────────────────────────────────────────────

  newAddressSpaceId(): number {
    if (this.#lastAsid === MAX_ASID) {
      this.flushAll();
      this.#lastAsid = 0;
    }
    return ++this.#lastAsid;
  }

  loadAddressSpace(mfn: number): number {
    const asid = this.newAddressSpaceId();
    this.switchAddressSpace(mfn, asid);
    return asid;
  }

  switchAddressSpace(mfn: number, asid: number): void {
    this.view.setUint32(MMU.root, mfn * PAGE_SIZE, true);
    this.view.setBigUint64(MMU.asid, BigInt(asid), true);
  }

  setDomain(domid: number): void {
    this.view.setUint32(MMU.domid, domid, true);
  }

  flushPage(linear: bigint): void {
    this.#exports.flushPage(BigInt.asIntN(64, linear));
  }

  forgetWrites(mfn: number): void {
    this.#exports.forgetWrites(mfn * PAGE_SIZE);
  }

  flushAll(): void {
    this.#exports.flushAll();
  }

  setBreakpoints(addresses: ArrayLike<bigint>, control: number): void {
    const breakpoints = this.#breakpoints;
    if (!(control & 0xff) && !breakpoints.any) return;
    breakpoints.set(addresses, control);
    const watching = Number(breakpoints.watchesData);
    if (watching && !this.view.getUint32(MMU.watching, true)) this.flushAll();
    this.view.setUint32(MMU.watching, watching, true);
  }

  translate(linear: bigint, access: 0 | 1 | 2): number {
    const host = this.#exports.translate(BigInt.asIntN(64, linear), access) >>> 0;
    if (host !== 0) return host;
    this.cr2 = BigInt.asUintN(64, linear);
    this.errorCode = this.view.getInt32(MMU.faultCode, true);
    return -1;
  }

  codeWritten(address: number, length: number): void {
    const first = address >>> 12;
    const last = (address + Math.max(length, 1) - 1) >>> 12;
    for (let mfn = first; mfn <= last; mfn++) {
      if (this.view.getUint16(this.machine.entry(mfn) + FRAME.flags, true) & FRAME_FLAG_CODE) {
        this.#cache.written(mfn * PAGE_SIZE, PAGE_SIZE);
      }
    }
  }

  /**
   * Executes the one instruction at rip with all accesses to the page of `linear` going to the frame `scratch` instead,
   * whatever the page tables say of that page.
   *
   * @returns false when the instruction faulted or left the processor; nothing of it is visible then
   */
  emulateWrite(linear: bigint, scratch: number): boolean {
    const page = BigInt.asUintN(64, linear) & ~0xfffn;
    const asid = this.view.getBigUint64(MMU.asid, true);
    this.flushPage(page);
    const slot = Number((page >> 12n) & BigInt(TLB_ENTRIES - 1)) * TLB_ENTRY_SIZE;
    const addend = (scratch * PAGE_SIZE - Number(page & 0xffff_ffffn)) | 0;
    for (const table of [TLB_READ, TLB_WRITE]) {
      this.view.setBigUint64(table + slot, page | asid, true);
      this.view.setInt32(table + slot + 8, addend, true);
    }
    this.#enterMode();
    const result = this.#exports.run(1);
    const done = result === RUN.budget;
    this.flushPage(page);
    if (done) {
      this.#setResume(false);
      this.retired = 1;
      this.#advanceTsc(1);
    }
    return done;
  }

  // ── state ────────────────────────────────────────────────────────────────────────────────────────────────────────

  saveState(into: Uint8Array): void {
    into.set(this.bytes.subarray(STATE.start, STATE.end));
    into.set(this.bytes.subarray(ENGINE.rip, ENGINE.rip + 8), STATE.end - STATE.start);
  }

  loadState(from: Uint8Array): void {
    const length = STATE.end - STATE.start;
    this.bytes.set(from.subarray(0, length), STATE.start);
    this.bytes.set(from.subarray(length, length + 8), ENGINE.rip);
  }

  resetState(): void {
    this.bytes.fill(0, STATE.start, STATE.end);
    this.regs.rip = 0n;
    this.regs.mxcsr = 0x1f80;
    this.regs.long = true;
    this.regs.cpl = 3;
    this.view.setUint16(STATE.fcw, 0x37f, true);
  }

  get tsc(): bigint {
    return this.view.getBigUint64(ENGINE.tsc, true);
  }
  set tsc(v: bigint) {
    this.view.setBigUint64(ENGINE.tsc, v, true);
  }

  get taskSwitched(): boolean {
    return this.view.getUint32(STATE.taskSwitched, true) !== 0;
  }
  set taskSwitched(v: boolean) {
    this.view.setUint32(STATE.taskSwitched, Number(v), true);
  }

  readonly disassemble = disassemble;
}

/** Compiles the interpreter. A compiled module may serve any number of processors. */
export function compileInterpreter(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(interpreterBytes());
}
