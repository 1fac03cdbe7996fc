import type { VectorState } from './state.js';

/** The vectors of one form as the fixture keeps them: only what the processor changed. */
export interface Recorded {
  /** Of the inputs, so that a change of the generator does not pass for a fault of the processor. */
  inputHash: number;
  count: number;
  results: Uint8Array;
}

/** FNV-1a over the inputs. */
export function hashInputs(inputs: readonly VectorState[]): number {
  let hash = 0x811c9dc5;
  for (const s of inputs) for (const b of s.bytes) hash = Math.imul(hash ^ b, 0x01000193);
  return hash >>> 0;
}

/**
 * One result: u8 vector, u8 error code if it is 14, u16 flags (low 12 bits; bit 15: mxcsr follows as u16; bit 14: the x87 unit changed), s16 rip − start, u16 changed general registers, their values,
 * u16 changed XMM registers, their values, u8 runs of changed memory, each u16 offset, u8 length, bytes;
 * of the x87 unit runs of the same kind.
 */
function encodeResult(out: number[], before: VectorState, after: VectorState): void {
  const u16 = (v: number): void => void out.push(v & 0xff, (v >> 8) & 0xff);
  const bytesAt = (bytes: Uint8Array, at: number, length: number): void => {
    for (let i = 0; i < length; i++) out.push(bytes[at + i]!);
  };
  out.push(after.vector);
  if (after.vector === 14) out.push(after.error);
  const newMxcsr = after.mxcsr !== before.mxcsr;
  const newX87 = after.x87.some((b, i) => b !== before.x87[i]);
  u16((after.rflags & 0xfff) | (newMxcsr ? 0x8000 : 0) | (newX87 ? 0x4000 : 0));
  if (newMxcsr) u16(after.mxcsr);
  u16(after.rip - before.rip);
  const gprs = mask(16, (i) => after.gpr(i) !== before.gpr(i));
  u16(gprs);
  for (let i = 0; i < 16; i++)
    if (gprs & (1 << i)) for (let b = 0n; b < 64n; b += 8n) out.push(Number((after.gpr(i) >> b) & 0xffn));
  const differs = (i: number): boolean =>
    after.xmm.subarray(16 * i, 16 * i + 16).some((b, j) => b !== before.xmm[16 * i + j]);
  const xmms = mask(16, differs);
  u16(xmms);
  for (let i = 0; i < 16; i++) if (xmms & (1 << i)) bytesAt(after.xmm, 16 * i, 16);
  encodeRuns(out, before.memory, after.memory);
  if (newX87) encodeRuns(out, before.x87, after.x87);
}

function encodeRuns(out: number[], before: Uint8Array, after: Uint8Array): void {
  const runs: { start: number; length: number }[] = [];
  for (let i = 0; i < after.length; i++) {
    if (after[i] === before[i]) continue;
    const last = runs.at(-1);
    if (last && i - (last.start + last.length) < 3 && i - last.start < 250) last.length = i - last.start + 1;
    else runs.push({ start: i, length: 1 });
  }
  out.push(runs.length);
  for (const { start, length } of runs)
    out.push(start & 0xff, start >> 8, length, ...after.subarray(start, start + length));
}

const mask = (n: number, is: (i: number) => boolean): number => {
  let m = 0;
  for (let i = 0; i < n; i++) if (is(i)) m |= 1 << i;
  return m;
};

export function record(inputs: readonly VectorState[], results: readonly VectorState[]): Recorded {
  const out: number[] = [];
  for (const [i, before] of inputs.entries()) encodeResult(out, before, results[i]!);
  return { inputHash: hashInputs(inputs), count: inputs.length, results: Uint8Array.from(out) };
}

/** The states that the processor left, given the inputs that `recorded` was made from. */
export function expectedResults(inputs: readonly VectorState[], recorded: Recorded): VectorState[] {
  const { results } = recorded;
  let at = 0;
  const u8 = (): number => results[at++]!;
  const u16 = (): number => u8() | (u8() << 8);
  return inputs.map((before) => {
    const after = before.copy();
    after.vector = u8();
    if (after.vector === 14) after.error = u8();
    const flags = u16();
    after.rflags = flags & 0xfff;
    if (flags & 0x8000) after.mxcsr = u16();
    after.rip = before.rip + ((u16() << 16) >> 16);
    const gprs = u16();
    for (let i = 0; i < 16; i++) {
      if (!(gprs & (1 << i))) continue;
      let v = 0n;
      for (let b = 0n; b < 64n; b += 8n) v |= BigInt(u8()) << b;
      after.setGpr(i, v);
    }
    const xmms = u16();
    for (let i = 0; i < 16; i++)
      if (xmms & (1 << i)) for (let b = 0; b < 16; b++) after.xmm[16 * i + b] = u8();
    const runs = (into: Uint8Array): void => {
      for (let left = u8(); left > 0; left--) {
        const start = u16();
        const length = u8();
        for (let b = 0; b < length; b++) into[start + b] = u8();
      }
    };
    runs(after.memory);
    if (flags & 0x4000) runs(after.x87);
    return after;
  });
}

/** A fixture: for each form u16 key length, key, u32 input hash, u16 count, u32 length, results. */
export function writeFixture(forms: ReadonlyMap<string, Recorded>): Uint8Array {
  const encoder = new TextEncoder();
  const parts: Uint8Array[] = [];
  for (const [key, r] of forms) {
    const name = encoder.encode(key);
    const head = new DataView(new ArrayBuffer(2 + name.length + 10));
    head.setUint16(0, name.length, true);
    new Uint8Array(head.buffer).set(name, 2);
    head.setUint32(2 + name.length, r.inputHash, true);
    head.setUint16(6 + name.length, r.count, true);
    head.setUint32(8 + name.length, r.results.length, true);
    parts.push(new Uint8Array(head.buffer), r.results);
  }
  const out = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

export function readFixture(bytes: Uint8Array): Map<string, Recorded> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const forms = new Map<string, Recorded>();
  for (let at = 0; at < bytes.length; ) {
    const length = view.getUint16(at, true);
    const key = new TextDecoder().decode(bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
    const size = view.getUint32(at + 6, true);
    forms.set(key, {
      inputHash: view.getUint32(at, true),
      count: view.getUint16(at + 4, true),
      results: bytes.subarray(at + 10, at + 10 + size),
    });
    at += 10 + size;
  }
  return forms;
}
