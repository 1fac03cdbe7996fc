/**
 * The language of the guest kernel `fuzz` (packages/guest-kernels/src/kernels/fuzz.c): operations with operands that the
 * guest evaluates, so that a program does not depend on where the domain's frames are.
 */

/** Places of a guest, as numbered there. */
export const PLACES = [
  'arena',
  'memory',
  'image',
  'tables',
  'sharedInfo',
  'startInfo',
  'console',
  'store',
  'grants',
  'stack',
  'p2m',
] as const;
export type Place = (typeof PLACES)[number];

/** Pages of the arena: what programs play with. It is mapped writable at first. */
export const ARENA_PAGES = 64;
/** vCPUs that have a program of their own. */
export const CPUS = 4;

const KINDS = [
  'number',
  'address',
  'machine',
  'frame',
  'slot',
  'result',
  'word32',
  'word64',
  'domid',
  'time',
] as const;

export interface Operand {
  readonly kind: (typeof KINDS)[number];
  /** 64 bits; with a place: its offset, and bit 63 as it is to be in a page-table entry. */
  readonly value: bigint;
  readonly place?: Place;
}

const OPERATIONS = ['end', 'call', 'store', 'load', 'run', 'start', 'repair'] as const;

export interface Operation {
  readonly what: (typeof OPERATIONS)[number];
  readonly operands: readonly Operand[];
}

/** Operations that belong together: what shrinking takes away at once. */
export type Step = readonly Operation[];
/** One list of steps for each vCPU. */
export type Program = readonly (readonly Step[])[];

// ── Operands ───────────────────────────────────────────────────────────────────────────────────────────────────────

export const number = (value: number | bigint): Operand => ({ kind: 'number', value: BigInt(value) });
export const address = (place: Place, offset = 0): Operand => ({
  kind: 'address',
  place,
  value: BigInt(offset),
});
/** The machine address of a byte; `flags` are those of a page-table entry. */
export const machine = (place: Place, offset = 0, flags = 0n): Operand => ({
  kind: 'machine',
  place,
  value: BigInt(offset) + flags,
});
export const frame = (place: Place, page = 0): Operand => ({
  kind: 'frame',
  place,
  value: BigInt(page * 4096),
});
/** Machine address of the page-table entry of an arena page, plus `low` (0 … 7). */
export const slot = (page: number, low = 0): Operand => ({ kind: 'slot', value: BigInt(page * 4096 + low) });
/** The result of this vCPU's operation before. */
export const result: Operand = { kind: 'result', value: 0n };
export const word32 = (offset: number): Operand => ({ kind: 'word32', value: BigInt(offset) });
export const domid = (who: 'self' | 'xen' | 'peer' | 'bystander'): Operand => ({
  kind: 'domid',
  value: BigInt(['self', 'xen', 'peer', 'bystander'].indexOf(who)),
});
/** System time, in `ns` nanoseconds from now. */
export const time = (ns: number): Operand => ({ kind: 'time', value: BigInt(ns) });

// ── Operations ─────────────────────────────────────────────────────────────────────────────────────────────────────

export const call = (hypercall: Operand | number, ...args: Operand[]): Operation => ({
  what: 'call',
  operands: [typeof hypercall === 'number' ? number(hypercall) : hypercall, ...args],
});
/** Stores values of `size` bytes, one behind the other. */
export const store = (to: Operand, size: 1 | 2 | 4 | 8, ...values: Operand[]): Operation => ({
  what: 'store',
  operands: [to, number(size), ...values],
});
export const load = (from: Operand): Operation => ({ what: 'load', operands: [from] });
/** Runs code; registers by number (rax rcx rdx rbx rsp rbp rsi rdi r8…); rsp is the interpreter's unless given. */
export const run = (code: Operand, registers: readonly (readonly [number, Operand])[]): Operation => ({
  what: 'run',
  operands: [code, ...registers.flatMap(([register, value]) => [number(register), value])],
});
export const start = (vcpu: number): Operation => ({ what: 'start', operands: [number(vcpu)] });
export const repair: Operation = { what: 'repair', operands: [] };

// ── As bytes and as text ───────────────────────────────────────────────────────────────────────────────────────────

const OPERAND_BYTES = 9;

function operandValue({ value, place }: Operand): bigint {
  return BigInt.asUintN(64, place ? value + (BigInt(PLACES.indexOf(place)) << 56n) : value);
}

/** The ramdisk of a program. */
export function encode(program: Program): Uint8Array {
  const lists = Array.from({ length: CPUS }, (_, cpu) => program[cpu]?.flat() ?? []);
  const length = (operations: readonly Operation[]) =>
    operations.reduce((sum, { operands }) => sum + 2 + operands.length * OPERAND_BYTES, 2);
  const header = CPUS * 4;
  const bytes = new Uint8Array(lists.reduce((sum, list) => sum + length(list), header));
  const view = new DataView(bytes.buffer);
  let at = header;
  lists.forEach((operations, cpu) => {
    view.setUint32(cpu * 4, at, true);
    for (const { what, operands } of operations) {
      bytes[at++] = OPERATIONS.indexOf(what);
      bytes[at++] = operands.length;
      for (const operand of operands) {
        bytes[at] = KINDS.indexOf(operand.kind);
        view.setBigUint64(at + 1, operandValue(operand), true);
        at += OPERAND_BYTES;
      }
    }
    at += 2; // end
  });
  return bytes;
}

function operandText({ kind, value, place }: Operand): string {
  const hex = value < 0n || value > 9n ? `0x${BigInt.asUintN(64, value).toString(16)}` : String(value);
  if (kind === 'number') return hex;
  return place ? `${kind}(${place} ${hex})` : `${kind}(${hex})`;
}

/** A program for people: one line an operation. */
export function format(program: Program): string {
  const lines = program.flatMap((steps, cpu) =>
    steps.flat().map(({ what, operands }) => `  vcpu ${cpu}: ${what} ${operands.map(operandText).join(' ')}`),
  );
  return lines.join('\n');
}
