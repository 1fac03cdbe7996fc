import { FLAG } from '../../x86/state.js';
import type { Form } from './forms.js';
import type { VectorState } from './state.js';

const { cf, pf, af, zf, sf, of } = FLAG;
export const ALL = cf | pf | af | zf | sf | of;
/** Arithmetic flags and DF: what vectors compare. */
export const COMPARED_FLAGS = ALL | FLAG.df;

/** Flags that an instruction leaves undefined whatever its operands are (AMD APM volume 3; Intel SDM volume 2). */
const ALWAYS: Record<string, number> = {
  aaa: of | sf | zf | pf,
  aad: of | af | cf,
  aam: of | af | cf,
  aas: of | sf | zf | pf,
  daa: of,
  das: of,
  and: af,
  or: af,
  xor: af,
  test: af,
  mul: sf | zf | af | pf,
  imul: sf | zf | af | pf,
  div: ALL,
  idiv: ALL,
  bsf: cf | of | sf | af | pf,
  bsr: cf | of | sf | af | pf,
  bt: of | sf | af | pf,
  bts: of | sf | af | pf,
  btr: of | sf | af | pf,
  btc: of | sf | af | pf,
  tzcnt: of | sf | af | pf,
  lzcnt: of | sf | af | pf,
};

/** Shifts and rotates: by the masked count and the operand's width in bits. */
const BY_COUNT: Record<string, (count: number, width: number) => number> = {
  shl: (n, width) => af | (n === 1 ? 0 : of) | (n >= width ? cf : 0),
  shr: (n, width) => af | (n === 1 ? 0 : of) | (n >= width ? cf : 0),
  sar: (n) => af | (n === 1 ? 0 : of),
  rol: (n) => (n === 1 ? 0 : of),
  ror: (n) => (n === 1 ? 0 : of),
  rcl: (n) => (n === 1 ? 0 : of),
  rcr: (n) => (n === 1 ? 0 : of),
  shld: (n, width) => (n > width ? ALL : af | (n === 1 ? 0 : of)),
  shrd: (n, width) => (n > width ? ALL : af | (n === 1 ? 0 : of)),
};

/** The count of a shift, masked as the processor does it; 0 changes no flag. */
export function shiftCount(form: Form, before: VectorState): number {
  const kind = form.encoded.encoding.operands.at(-1)!.kind;
  const raw = kind === '1' ? 1 : kind === 'C' ? Number(before.gpr(1) & 0xffn) : before.code.at(-1)!;
  return raw & (widthOf(form) === 64 ? 63 : 31);
}

const widthOf = (form: Form): number => (form.encoded.encoding.operands[0]!.size === 'b' ? 8 : form.size * 8);

/** Mask of the flags that the manuals leave open after this instruction on this input. */
export function undefinedFlags(form: Form, before: VectorState): number {
  const { name } = form.encoded.row;
  const byCount = BY_COUNT[name];
  if (!byCount) return ALWAYS[name] ?? 0;
  const count = shiftCount(form, before);
  return count === 0 ? 0 : byCount(count, widthOf(form));
}

/** SHLD and SHRD by more than a 16-bit operand holds leave the result itself undefined. */
export function undefinedResult(form: Form, before: VectorState): boolean {
  const { name } = form.encoded.row;
  return (name === 'shld' || name === 'shrd') && shiftCount(form, before) > widthOf(form);
}

/** Flags that an instruction may leave undefined, whatever its inputs are. */
export function mayLeaveUndefined(form: Form): number {
  const { name } = form.encoded.row;
  const byCount = BY_COUNT[name];
  if (!byCount) return ALWAYS[name] ?? 0;
  const width = widthOf(form);
  return byCount(2, width) | byCount(31, width);
}

/** The flags that a condition code reads, by the code's upper three bits. */
const CONDITION = [of, cf, zf, cf | zf, sf, pf, sf | of, zf | sf | of] as const;
const READS: Record<string, number> = {
  adc: cf,
  sbb: cf,
  rcl: cf,
  rcr: cf,
  cmc: cf,
  lahf: ALL & ~of,
  pushf: ALL,
};

/** Flags that an instruction's result depends on, other than by keeping them. */
export const readsFlags = (form: Form): number =>
  form.encoded.row.options.cc ? CONDITION[form.cc >> 1]! : (READS[form.encoded.row.name] ?? 0);

const SETS: Record<string, number> = {
  inc: ALL & ~cf,
  dec: ALL & ~cf,
  clc: cf,
  stc: cf,
  cmc: cf,
  sahf: ALL & ~of,
  bt: cf,
  bts: cf,
  btr: cf,
  btc: cf,
  tzcnt: cf | zf,
  lzcnt: cf | zf,
  bsf: zf,
  bsr: zf,
  mul: cf | of,
  imul: cf | of,
};
const SETS_ALL = /^(add|adc|sub|sbb|cmp|neg|and|or|xor|test|xadd|cmpxchg|popcnt)$/;

/** Flags that an instruction defines whatever its inputs are. */
export const setsFlags = (form: Form): number => {
  const { name } = form.encoded.row;
  return SETS_ALL.test(name) ? ALL : (SETS[name] ?? 0);
};
