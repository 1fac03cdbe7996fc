import { type Form, formsOf } from './forms.js';

/** A fixture: which forms it holds and how many vectors each has. */
export interface Family {
  /** fixtures/vectors-NAME.bin.gz */
  name: string;
  forms(): Form[];
  vectors: (form: Form) => number;
}

export const FAMILIES: readonly Family[] = [
  {
    name: 'integer',
    forms: () => formsOf(({ row }) => row.options.fpu !== true),
    vectors: (form) => (form.encoded.row.options.cc ? 8 : form.rep ? 16 : 32),
  },
];
