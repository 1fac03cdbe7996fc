import type { EncodedRow } from '../../x86/decode.js';
import { type Form, formsOf } from './forms.js';
import { ROUNDED } from './inputs.js';

/** A fixture: which forms it holds and how many vectors each has. */
export interface Family {
  /** fixtures/vectors-NAME.bin.gz */
  name: string;
  forms(): Form[];
  vectors: (form: Form) => number;
}

/** Vector registers or MXCSR, but not the x87 rows. */
const isSse = ({ row, encoding }: EncodedRow): boolean =>
  row.options.fpu === true &&
  (encoding.operands.some((o) => 'VWU'.includes(o.kind)) || row.name.endsWith('mxcsr'));

const isInteger = ({ row }: EncodedRow): boolean => row.options.fpu !== true;

export const FAMILIES: readonly Family[] = [
  {
    name: 'integer',
    forms: () => formsOf(isInteger),
    vectors: (form) => (form.encoded.row.options.cc ? 8 : form.rep ? 16 : 32),
  },
  {
    name: 'sse',
    forms: () => formsOf(isSse),
    vectors: ({ encoded: { row } }) =>
      /^pcmp[ei]str/.test(row.name) ? 256 : ROUNDED.test(row.name) ? 96 : 48,
  },
  {
    name: 'compat',
    forms: () => formsOf((r) => isInteger(r) || isSse(r), 32),
    vectors: (form) => (form.encoded.row.options.cc ? 4 : 8),
  },
];
