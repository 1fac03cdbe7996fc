/** Operand forms of an instance: no memory, memory without an index register, memory with one. */
const FORMS = ['register', 'base', 'index'] as const;
export type Form = (typeof FORMS)[number];

/** All that distinguishes the handlers of one encoding. */
export interface Variant {
  size: 2 | 4 | 8;
  form: Form;
  cc: number;
  rep: '' | 'repz' | 'repnz';
  near: boolean;
  /** Width of the stack pointer, or of a string instruction's pointers and count. */
  stack: 8 | 4 | 2;
}

export const variantKey = (encoding: number, v: Variant): number =>
  (((((encoding * 4 + Math.log2(v.size)) * 4 + FORMS.indexOf(v.form)) * 16 + v.cc) * 4 +
    (v.rep === '' ? 0 : v.rep === 'repz' ? 1 : 2)) *
    2 +
    Number(v.near)) *
    4 +
  Math.log2(v.stack);

/** Records that are no instructions of the guest's. */
export const MICRO = [
  'continue',
  'continueFar',
  'stale',
  'checkNext',
  'address',
  'address32',
  'address16',
  'absolute',
  'fpu',
  'invalid',
  'tooLong',
] as const;
export type Micro = (typeof MICRO)[number];

/** Which handler executes what, as plain data: the published package ships it beside the interpreter's bytes. */
export interface Numbering {
  micro: Record<Micro, number>;
  /** Pairs of `variantKey` and handler. */
  handlers: readonly number[];
  /** Pairs of `fusedKey` and handler. */
  fused: readonly number[];
}

export const fusedKey = (first: number, cc: number): number => first * 16 + cc;
