import { operandBytes } from '../../x86/operand.js';
import { type Address, assemble, type Choices } from './assemble.js';
import { floatBits } from './floats.js';
import type { Form } from './forms.js';
import { Random } from './random.js';
import { CODE_PAGES, GS_BASE, STACK, TAIL, TAIL_SIZE, VectorState, WINDOW, WINDOW_SIZE } from './state.js';
import { isX87, x87State } from './x87-inputs.js';

/** Arithmetic flags and DF. */
const FLAGS = 0xcd5;
const STACK_ROWS = ['pusha', 'popa', 'push', 'pop', 'pushf', 'popf', 'call', 'ret', 'leave', 'enter'];
const RSP = 4;
/** Rows that heed MXCSR.RC here; the others are recorded with rounding to nearest. */
export const ROUNDED = /^(cvt|round)/;

/** The `count` inputs of a form; the same on every machine. */
export function inputsOf(form: Form, count: number, seed: string = form.key): VectorState[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => input(form, random));
}

function input(form: Form, random: Random): VectorState {
  const { row, encoding } = form.encoded;
  const long = form.mode === 64;
  const registers = long ? 16 : 8;
  const s = new VectorState();
  s.mode = form.mode;
  s.rflags = (random.u32() & FLAGS & ~(random.oneIn(3) ? 0 : 0x400)) | 0x202;
  s.mxcsr = 0x1f80;
  for (let i = 0; i < 16; i++) s.setGpr(i, random.interesting());
  fillWindow(s, random);
  if (row.options.fpu) floatState(s, random);
  if (isMmxForm(form)) mmxState(s, random);
  s.setGpr(RSP, BigInt(STACK + 64 - random.below(3)));

  const address = form.memory ? chooseAddress(form, random) : undefined;
  const usesMemory = form.memory && row.options.addressOnly !== true;
  const choices: Choices = {
    reg: random.below(registers),
    rm: random.below(registers),
    address,
    rex: long && random.oneIn(2),
    lock: row.options.lock === true && form.memory && random.oneIn(4),
    address32: long && counts(form) && random.oneIn(10) && address?.rip !== true,
    // In compatibility code a GS override would need a descriptor.
    gs: long && (usesMemory || readsImplicitly(form)) && random.oneIn(10),
    immediate:
      row.name === 'enter'
        ? BigInt(random.below(48) | (random.pick([0, 0, 1, 2, 3, 7, 30]) << 16))
        : random.interesting(),
    relative: 0,
    rip: CODE_PAGES + (random.oneIn(12) ? 0x1000 - 1 - random.below(7) : 0x400 + random.below(0x400)),
  };
  // The bit offset must not be part of the address.
  while (address && (choices.reg === address.base || choices.reg === address.index))
    choices.reg = random.below(registers);
  if (address && !row.options.fpu && address.target + 16 <= WINDOW + WINDOW_SIZE) {
    putMemory(s, address.target, random.interesting(), 8);
    putMemory(s, address.target + 8, random.interesting(), 8);
  }
  prepare(form, random, s, choices, encoding.opcode);
  if (isX87(form)) x87State(form, random, s, address?.target);
  if (address) pointTo(s, address, choices, random);
  if (encoding.operands.some((o) => o.kind === 'J')) {
    choices.relative = random.oneIn(2) ? 20 + random.below(100) : -40 - random.below(80);
  }
  if (!long) for (let i = 0; i < 16; i++) s.setGpr(i, s.gpr(i) & 0xffff_ffffn);
  s.code = assemble(form, choices);
  s.rip = choices.rip;
  return s;
}

/** Rows with an address, or that count in a register of the address's size. */
const counts = (form: Form): boolean =>
  form.memory ||
  isString(form) ||
  ['xlat', 'maskmovdqu', 'maskmovq', 'loop', 'loope', 'loopne', 'jrcxz'].includes(form.encoded.row.name);
const isString = (form: Form): boolean => form.encoded.encoding.operands[0]?.kind === 'X';
/** An implicit address whose segment may be overridden. */
const readsImplicitly = (form: Form): boolean =>
  ['xlat', 'maskmovdqu', 'maskmovq', 'movs', 'lods', 'cmps'].includes(form.encoded.row.name);

export function fillWindow(s: VectorState, random: Random): void {
  const memory = s.memory;
  const view = new DataView(memory.buffer, memory.byteOffset);
  for (let i = 0; i < WINDOW_SIZE; i += 4) view.setUint32(i, random.u32(), true);
}

function putMemory(s: VectorState, linear: number, v: bigint, bytes: number): void {
  for (let i = 0; i < bytes; i++) s.memory[linear - WINDOW + i] = Number((v >> BigInt(8 * i)) & 0xffn);
}

function chooseAddress(form: Form, random: Random): Address {
  const wide = form.encoded.encoding.operands.some(
    (o) => 'MW'.includes(o.kind) && ['x', ''].includes(o.size),
  );
  const cross = random.oneIn(6) ? 192 - random.below(16) : 128 + random.below(128);
  const aligned = wide && !random.oneIn(8);
  const inside = aligned ? WINDOW + (cross & ~15) : WINDOW + cross;
  // Now and then the operand reaches into the page that is not there; the last bytes before it may still be read.
  const target = mayFault(form) && random.oneIn(24) ? TAIL + TAIL_SIZE - random.below(20) : inside;
  const registers = form.mode === 64 ? 16 : 8;
  const base = random.oneIn(12) ? -1 : random.below(registers);
  let index = random.oneIn(2) ? -1 : random.below(registers);
  if (index === RSP || index === base) index = -1;
  const disp = random.pick([0, 0, (random.u32() << 24) >> 24, random.u32() >> 12, -(random.u32() >> 12)]);
  const a: Address = {
    rip: form.mode === 64 && random.oneIn(10),
    base,
    index,
    scale: random.below(4),
    disp,
    target,
  };
  return a.rip ? { ...a, base: -1, index: -1 } : a;
}

/** Rows whose preparation does not need the operand within the window. */
const mayFault = (form: Form): boolean => {
  const { name } = form.encoded.row;
  return !/^(bt|bound|jmp|call|cmpxchg8b|ldmxcsr|pcmp[ei]str)/.test(name);
};

/** Sets the registers (or the displacement) so that the address leads to its target. */
function pointTo(s: VectorState, a: Address, c: Choices, random: Random): void {
  if (a.rip || c.immediate < 0n) return;
  let rest = BigInt(a.target - (c.gs ? GS_BASE : 0));
  if (a.index >= 0) {
    const v = BigInt(random.below(4096) - 2048);
    s.setGpr(a.index, BigInt.asUintN(64, v));
    rest -= v << BigInt(a.scale);
  }
  if (a.base < 0 || a.base === RSP) {
    a.disp = Number(rest - (a.base < 0 ? 0n : s.gpr(RSP)));
    return;
  }
  const value = BigInt.asUintN(64, rest - BigInt(a.disp));
  // With 32-bit addresses the upper half must not matter.
  s.setGpr(a.base, c.address32 ? (value & 0xffff_ffffn) | (random.u64() & ~0xffff_ffffn) : value);
}

/** What single rows need so that they do something, or stay within the window. */
function prepare(form: Form, random: Random, s: VectorState, c: Choices, opcode: number): void {
  const { row, encoding } = form.encoded;
  const { name } = row;
  const first = encoding.operands[0];
  const size = first && 'EGOARMDX'.includes(first.kind) ? operandBytes(first.size, form.size) : form.size;
  const target = c.address?.target;
  const codeAddress = BigInt(CODE_PAGES + 0x1800 + random.below(0x400));
  if (STACK_ROWS.includes(name)) {
    if (name === 'ret') putMemory(s, Number(s.gpr(RSP)), codeAddress, 8);
    if (name === 'popf') putMemory(s, Number(s.gpr(RSP)), BigInt(random.u32() & FLAGS), 8);
    if (name === 'leave' || name === 'enter') s.setGpr(5, BigInt(STACK + random.below(100)));
  }
  if ((name === 'jmp' || name === 'call') && encoding.opcode === 0xff) {
    if (target === undefined) {
      while (c.rm === RSP) c.rm = random.below(8);
      s.setGpr(c.rm, codeAddress);
    } else putMemory(s, target, codeAddress, 8);
  }
  if (name === 'div' || name === 'idiv') divide(name === 'idiv', size, random, s);
  if (name === 'cmpxchg' && random.oneIn(2)) {
    if (target === undefined) s.setGpr(c.rm, s.gpr(0));
    else putMemory(s, target, s.gpr(0), 8);
  }
  if (name === 'cmpxchg8b') {
    const half = form.size === 8 ? 8 : 4;
    if (random.oneIn(2)) {
      putMemory(s, target!, s.gpr(0), half);
      putMemory(s, target! + half, s.gpr(2), half);
    }
  }
  if (name === 'bound') {
    const value = BigInt.asIntN(8 * size, s.gpr(c.reg));
    putMemory(s, target!, value - BigInt(random.below(6) - 1), size);
    putMemory(s, target! + size, value + BigInt(random.below(6) - 1), size);
  }
  if (name === 'xlat') {
    s.setGpr(3, BigInt(WINDOW + 10 + random.below(100) - (c.gs ? GS_BASE : 0)));
    if (c.address32) s.setGpr(3, s.gpr(3) | (random.u64() & ~0xffff_ffffn));
  }
  if (name.startsWith('bt') && target !== undefined && opcode !== 0xba) {
    const offset = BigInt.asUintN(size * 8, BigInt(random.below(800) - 400));
    s.setGpr(c.reg, offset | (size === 8 ? 0n : random.u64() << BigInt(size * 8)));
  }
  if (first?.kind === 'X') string(random, s, c);
  if (row.options.fpu && ROUNDED.test(name)) s.mxcsr |= random.below(4) << 13;
  if (/^pcmpestr/.test(name)) {
    for (const register of [0, 2])
      if (!random.oneIn(4)) s.setGpr(register, BigInt.asUintN(64, BigInt(random.below(36) - 18)));
  }
  if (name.startsWith('pcmp') && name.includes('str')) similar(random, s, c, target);
  // Bits 0–15, and now and then a reserved one; bit 17 is none on AMD.
  if (name === 'ldmxcsr')
    putMemory(
      s,
      target!,
      BigInt((random.u32() & 0xffff) | (random.oneIn(4) ? 0x10000 << random.pick([0, 2, 8, 15]) : 0)),
      4,
    );
  if (name.startsWith('maskmov')) {
    const offset = BigInt(WINDOW + 100 + random.below(150) - (c.gs ? GS_BASE : 0));
    s.setGpr(7, offset | (c.address32 ? random.u64() & ~0xffff_ffffn : 0n));
  }
  if (name === 'j' || name.startsWith('loop') || name === 'jrcxz') {
    if (name !== 'j' && random.oneIn(2))
      s.setGpr(1, BigInt(random.below(3)) | (random.oneIn(2) ? 0n : 1n << 32n));
  }
}

/** Quotients that fit, most of the time. */
function divide(signed: boolean, size: number, random: Random, s: VectorState): void {
  if (random.oneIn(4)) return;
  const small = random.oneIn(2) ? 0n : BigInt(random.below(64) - (signed ? 32 : 0));
  if (size === 1) {
    const ax = BigInt.asUintN(16, BigInt.asIntN(8, s.gpr(0)) >> (signed ? 0n : 16n));
    s.setGpr(0, (s.gpr(0) & ~0xffffn) | (signed ? ax : (s.gpr(0) & 0xffn) | ((small & 15n) << 8n)));
    return;
  }
  const top = BigInt.asIntN(size * 8, s.gpr(0)) < 0n && signed ? -1n : 0n;
  s.setGpr(2, BigInt.asUintN(64, random.oneIn(3) ? small : top));
}

/** Operands of string comparisons: few different characters, zeros among them. */
function similar(random: Random, s: VectorState, c: Choices, target: number | undefined): void {
  const other =
    target === undefined
      ? s.xmm.subarray(16 * c.rm, 16 * c.rm + 16)
      : s.memory.subarray(target - WINDOW, target - WINDOW + 16);
  const letters = random.pick([
    [0x61, 0x62],
    [0x61, 0x62, 0x63, 0x80, 0xff],
    [0x00, 0x61, 0x62],
    [0x61, 0x00],
  ]);
  const wide = random.oneIn(2);
  for (const bytes of [s.xmm.subarray(16 * c.reg, 16 * c.reg + 16), other]) {
    for (let i = 0; i < 16; i++)
      bytes[i] = wide && i & 1 ? (random.oneIn(8) ? 0x80 : 0) : random.pick(letters);
    if (random.oneIn(2)) bytes[random.below(16)] = 0;
  }
}

/** Runs of equal bytes now and then, short counts, pointers that stay in the window. */
function string(random: Random, s: VectorState, c: Choices): void {
  if (random.oneIn(2)) {
    const repeated = random.below(2) * 0x41;
    for (let i = 0; i < 384; i++) if (!random.oneIn(40)) s.memory[i] = repeated;
    if (random.oneIn(2)) s.setGpr(0, random.oneIn(2) ? 0x4141414141414141n : 0n);
  }
  s.setGpr(6, BigInt(WINDOW + 110 + random.below(160)));
  s.setGpr(
    7,
    random.oneIn(3) ? s.gpr(6) + BigInt(random.below(9) - 4) : BigInt(WINDOW + 110 + random.below(160)),
  );
  s.setGpr(1, BigInt(random.below(12)));
  // Over the end of the data pages: what was done before the fault stays done.
  if (random.oneIn(10)) s.setGpr(random.pick([6, 7]), BigInt(TAIL + TAIL_SIZE - random.below(48)));
  if (c.gs) s.setGpr(6, s.gpr(6) - BigInt(GS_BASE));
  if (c.address32) for (const i of [1, 6, 7]) s.setGpr(i, s.gpr(i) | (random.u64() & ~0xffff_ffffn));
}

/** Vector registers and memory with floating-point borders, NaNs, infinities and denormals among them. */
function floatState(s: VectorState, random: Random): void {
  const put = (view: DataView, at: number): void => {
    const kind = random.below(3);
    if (kind === 0)
      for (let i = 0; i < 4; i++) view.setUint32(at + 4 * i, Number(floatBits(random, 4)), true);
    else if (kind === 1)
      for (let i = 0; i < 2; i++) view.setBigUint64(at + 8 * i, floatBits(random, 8), true);
    else for (let i = 0; i < 2; i++) view.setBigUint64(at + 8 * i, random.interesting(), true);
  };
  const xmm = s.xmm;
  for (let i = 0; i < 16; i++) put(new DataView(xmm.buffer, xmm.byteOffset + 16 * i, 16), 0);
  const memory = s.memory;
  for (let i = 96; i < 272; i += 16) put(new DataView(memory.buffer, memory.byteOffset + i, 16), 0);
}

const isMmxForm = ({ encoded: { row, encoding } }: Form): boolean =>
  row.name === 'emms' || encoding.operands.some((o) => 'PQN'.includes(o.kind));

/** The x87 unit in any state; now and then with an exception pending. */
function mmxState(s: VectorState, random: Random): void {
  s.fsw = random.u32() & 0x7800;
  s.ftw = random.below(256);
  if (random.oneIn(16)) {
    s.fcw = 0x37e;
    s.fsw |= 0x8081;
  }
  for (let i = 0; i < 8; i++) {
    const st = s.st(i);
    const view = new DataView(st.buffer, st.byteOffset, 10);
    view.setBigUint64(0, random.interesting(), true);
    view.setUint16(8, random.oneIn(2) ? 0xffff : random.u32() & 0xffff, true);
  }
  if (random.oneIn(2)) s.mxcsr |= random.below(4) << 13;
}
