import { Exit } from '../../processor.js';
import { disassemble } from '../../x86/disassemble.js';
import type { FlatMachine } from '../flat-machine.js';
import type { Form } from './forms.js';
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
import { COMPARED_FLAGS, undefinedFlags, undefinedResult } from './undefined-flags.js';

/** Linear pages that a machine for vectors needs. */
export const VECTOR_PAGES = 0x42;
const NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'];
const nameOf = (i: number): string => NAMES[i] ?? `r${i}`;

/** MXCSR without the sticky exception flags, which the interpreter does not keep. */
const MXCSR_CONTROL = 0xffc0;
/** The architecture only bounds their error: 1.5 × 2^−12. Processors differ; the interpreter is exact. */
const APPROXIMATE = ['rcpps', 'rcpss', 'rsqrtps', 'rsqrtss'];

/** Four floats at `at`, each the same bits or within twice that bound of one another. */
function nearly(a: Uint8Array, b: Uint8Array, at: number): boolean {
  const [x, y] = [a, b].map((v) => new DataView(v.buffer, v.byteOffset + at, 16)) as [DataView, DataView];
  return [0, 4, 8, 12].every((i) => {
    if (x.getUint32(i) === y.getUint32(i)) return true;
    const [v, w] = [x.getFloat32(i, true), y.getFloat32(i, true)];
    return Math.abs(v - w) <= Math.abs(v) * 3 * 2 ** -12;
  });
}

/** Fills the code pages with INT3, as the harness does. */
export function prepareMachine(m: FlatMachine): void {
  m.write(CODE_PAGES, new Uint8Array(CODE_SIZE).fill(0xcc));
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
  const exit = cpu.run(100);
  const after = before.copy();
  after.vector = exit === Exit.exception ? cpu.vector : 200 + exit;
  after.error = after.vector === 14 ? cpu.errorCode : 0;
  for (let i = 0; i < 16; i++) after.setGpr(i, regs.gpr[i]!);
  after.rflags = Number(regs.rflags & 0xffffffffn);
  after.rip = Number(regs.rip);
  after.mxcsr = regs.mxcsr;
  after.xmm.set(regs.xmm);
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
  form: Form,
  before: VectorState,
  expected: VectorState,
  actual: VectorState,
): string | undefined {
  if (!mayDiffer(expected, actual)) return undefined;
  const found: string[] = [];
  const say = (what: string, was: string, want: string, got: string): void => {
    found.push(`${what}: ${was} → ${got}, the processor says ${want}`);
  };
  if (expected.vector !== actual.vector) say('vector', '', `${expected.vector}`, `${actual.vector}`);
  if (expected.error !== actual.error) say('error code', '', `${expected.error}`, `${actual.error}`);
  if (expected.rip !== actual.rip)
    say('rip', before.rip.toString(16), expected.rip.toString(16), actual.rip.toString(16));
  const skipResult = undefinedResult(form, before);
  for (let i = 0; i < 16 && !skipResult; i++) {
    if (expected.gpr(i) !== actual.gpr(i))
      say(nameOf(i), before.gpr(i).toString(16), expected.gpr(i).toString(16), actual.gpr(i).toString(16));
  }
  const flags = COMPARED_FLAGS & ~(expected.vector === 3 ? undefinedFlags(form, before) : 0);
  if ((expected.rflags ^ actual.rflags) & flags) {
    const text = (v: number): string => (v & flags).toString(16);
    say('flags', text(before.rflags), text(expected.rflags), text(actual.rflags));
  }
  const mxcsr = form.encoded.row.name === 'ldmxcsr' ? 0xffff : MXCSR_CONTROL;
  if ((expected.mxcsr ^ actual.mxcsr) & mxcsr)
    say('mxcsr', before.mxcsr.toString(16), expected.mxcsr.toString(16), actual.mxcsr.toString(16));
  const approximate = APPROXIMATE.includes(form.encoded.row.name);
  for (let i = 0; i < 16; i++) {
    if (approximate && nearly(expected.xmm, actual.xmm, 16 * i)) continue;
    const part = (s: VectorState): string => reversed(s.xmm.subarray(16 * i, 16 * i + 16));
    if (part(expected) !== part(actual)) say(`xmm${i}`, part(before), part(expected), part(actual));
  }
  for (let i = 0; i < WINDOW_SIZE && !skipResult; i += 8) {
    const part = (s: VectorState): string => reversed(s.memory.subarray(i, i + 8));
    if (part(expected) !== part(actual))
      say(`[${(WINDOW + i).toString(16)}]`, part(before), part(expected), part(actual));
  }
  if (found.length === 0) return undefined;
  const text = disassemble(before.code, BigInt(before.rip), before.mode).text;
  return `${form.key}: ${text} (${hex(before.code)})\n  ${found.join('\n  ')}`;
}
