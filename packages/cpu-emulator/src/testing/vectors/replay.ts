import { Exit } from '../../processor.js';
import { disassemble } from '../../x86/disassemble.js';
import { mmxSlot, STATE } from '../../x86/state.js';
import type { FlatMachine } from '../flat-machine.js';
import type { Vector, VectorSet } from './families.js';
import {
  CODE_PAGES,
  CODE_SIZE,
  GS_BASE,
  RFLAGS_OFFSET,
  TAIL,
  TAIL_SIZE,
  type VectorState,
  WINDOW,
  WINDOW_SIZE,
} from './state.js';
import { COMPARED_FLAGS } from './undefined-flags.js';

/** Linear pages that a machine for vectors needs. */
export const VECTOR_PAGES = 0x42;
const NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'];

/** Four floats at `at`, each the same bits or within twice 1.5 × 2^−12 of one another: processors differ, we are exact. */
function nearly(a: Uint8Array, b: Uint8Array, at: number): boolean {
  const [x, y] = [a, b].map((v) => new DataView(v.buffer, v.byteOffset + at, 16)) as [DataView, DataView];
  return [0, 4, 8, 12].every((i) => {
    if (x.getUint32(i) === y.getUint32(i)) return true;
    const [v, w] = [x.getFloat32(i, true), y.getFloat32(i, true)];
    return Math.abs(v - w) <= Math.abs(v) * 3 * 2 ** -12;
  });
}

/** Two 80-bit values at most one unit in the last place apart: as integers they differ by one. */
function withinOne(a: Uint8Array, b: Uint8Array): boolean {
  const [x, y] = [a, b].map((v) => BigInt(`0x${reversed(v)}`)) as [bigint, bigint];
  return x - y <= 1n && y - x <= 1n;
}

/** Fills the code pages with INT3, as the harness does. */
export function prepareMachine(m: FlatMachine): void {
  m.write(CODE_PAGES, new Uint8Array(CODE_SIZE).fill(0xcc));
}

/** The x87 unit goes into the processor's state block. */
function loadX87({ machine: { view, bytes } }: FlatMachine, s: VectorState): void {
  view.setUint16(STATE.fcw, s.fcw, true);
  view.setUint16(STATE.fsw, s.fsw, true);
  view.setUint16(STATE.ftw, s.ftw, true);
  for (let i = 0; i < 8; i++) bytes.set(s.st(i), mmxSlot(i));
}
function storeX87({ machine: { view, bytes } }: FlatMachine, s: VectorState): void {
  s.fcw = view.getUint16(STATE.fcw, true);
  s.fsw = view.getUint16(STATE.fsw, true);
  s.ftw = view.getUint16(STATE.ftw, true);
  for (let i = 0; i < 8; i++) s.st(i).set(bytes.subarray(mmxSlot(i), mmxSlot(i) + 10));
}

/** Runs one vector on the interpreter. */
export function execute(m: FlatMachine, before: VectorState): VectorState {
  const { cpu } = m;
  const { regs } = cpu;
  cpu.resetState();
  regs.long = before.mode === 64;
  const code = before.code;
  m.write(before.rip, code);
  m.machine.bytes.set(before.memory, m.base + WINDOW);
  m.machine.bytes.fill(0, m.base + TAIL, m.base + TAIL + TAIL_SIZE);
  for (let i = 0; i < 16; i++) regs.gpr[i] = before.gpr(i);
  regs.rflags = BigInt(before.rflags);
  regs.rip = BigInt(before.rip);
  regs.gsBase = BigInt(GS_BASE);
  regs.mxcsr = before.mxcsr;
  regs.xmm.set(before.xmm);
  loadX87(m, before);
  const exit = cpu.run(100);
  const after = before.copy();
  after.vector = exit === Exit.exception ? cpu.vector : 200 + exit;
  after.error = after.vector === 14 ? cpu.errorCode : 0;
  for (let i = 0; i < 16; i++) after.setGpr(i, regs.gpr[i]!);
  after.rflags = Number(regs.rflags & 0xffffffffn);
  after.rip = Number(regs.rip);
  after.mxcsr = regs.mxcsr;
  after.xmm.set(regs.xmm);
  storeX87(m, after);
  after.memory.set(m.machine.bytes.subarray(m.base + WINDOW, m.base + WINDOW + WINDOW_SIZE));
  m.write(before.rip, new Uint8Array(code.length).fill(0xcc));
  return after;
}

const hex = (bytes: Uint8Array): string => [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');
const reversed = (bytes: Uint8Array): string => hex(bytes.slice().reverse());

/** False when both states are the same in every bit, as they nearly always are. */
function mayDiffer(a: VectorState, b: VectorState): boolean {
  if (
    a.vector !== b.vector ||
    a.error !== b.error ||
    a.mxcsr !== b.mxcsr ||
    (a.rflags ^ b.rflags) & COMPARED_FLAGS
  )
    return true;
  const skipped = a.xmm.byteOffset - a.bytes.byteOffset;
  for (let i = 0; i < a.bytes.length; i++) {
    if (i >= RFLAGS_OFFSET && i < skipped) continue;
    if (a.bytes[i] !== b.bytes[i]) return true;
  }
  return false;
}

/** How a result differs from the processor's: one text, or undefined when it does not (where the manuals define it). */
export function difference(
  set: VectorSet,
  { before, openFlags, openResult, openStatus = 0 }: Vector,
  expected: VectorState,
  actual: VectorState,
): string | undefined {
  if (!mayDiffer(expected, actual)) return undefined;
  const found: string[] = [];
  const say = (what: string, was: string, want: string, got: string): void => {
    if (want !== got) found.push(`${what}: ${was} → ${got}, the processor says ${want}`);
  };
  const number = (what: string, of: (s: VectorState) => number | bigint): void =>
    say(what, of(before).toString(16), of(expected).toString(16), of(actual).toString(16));
  number('vector', (s) => s.vector);
  number('error code', (s) => s.error);
  number('rip', (s) => s.rip);
  const flags = COMPARED_FLAGS & ~(expected.vector === 3 ? openFlags : 0);
  number('flags', (s) => s.rflags & flags);
  number('mxcsr', (s) => s.mxcsr);
  for (let i = 0; i < 16; i++) {
    if (!openResult) number(NAMES[i] ?? `r${i}`, (s) => s.gpr(i));
    if (set.approximate && nearly(expected.xmm, actual.xmm, 16 * i)) continue;
    const part = (s: VectorState): string => reversed(s.xmm.subarray(16 * i, 16 * i + 16));
    say(`xmm${i}`, part(before), part(expected), part(actual));
  }
  number('fcw', (s) => s.fcw);
  // Whether a result was rounded up depends on its last bit.
  const open = set.approximate ? openStatus | 0x200 : openStatus;
  number('fsw', (s) => s.fsw & ~open);
  number('ftw', (s) => s.ftw);
  for (let i = 0; i < 8; i++) {
    const part = (s: VectorState): string => reversed(s.st(i));
    if (set.approximate && withinOne(expected.st(i), actual.st(i))) continue;
    say(`r${i} of the x87 unit`, part(before), part(expected), part(actual));
  }
  for (let i = 0; i < WINDOW_SIZE && !openResult; i += 8) {
    const part = (s: VectorState): string => reversed(s.memory.subarray(i, i + 8));
    say(`[${(WINDOW + i).toString(16)}]`, part(before), part(expected), part(actual));
  }
  return found.length === 0 ? undefined : `${set.key}: ${listing(before)}\n  ${found.join('\n  ')}`;
}

/** The code as text: "inc eax; daa (4027)". */
function listing({ code, rip, mode }: VectorState): string {
  const texts: string[] = [];
  for (let at = 0; at < code.length; ) {
    const { text, length } = disassemble(code.subarray(at), BigInt(rip + at), mode);
    texts.push(text);
    at += length;
  }
  return `${texts.join('; ')} (${hex(code)})`;
}
