import type { EncodedRow } from '../../x86/decode.js';
import { type Form, formsOf } from './forms.js';
import { inputsOf, ROUNDED } from './inputs.js';
import { FLOATING, mxcsrInputsOf } from './mxcsr-inputs.js';
import { programs } from './sequences.js';
import type { VectorState } from './state.js';
import { undefinedFlags, undefinedResult } from './undefined-flags.js';
import { TRANSCENDENTAL } from './x87-inputs.js';

/** An input, and what of its result is not compared. */
export interface Vector {
  before: VectorState;
  /** Flags that the manuals leave undefined when no exception is raised. */
  openFlags: number;
  /** The result itself is undefined. */
  openResult: boolean;
  /** Bits of the x87 status word that are undefined. */
  openStatus?: number;
}

/** The vectors of one form, or of one seed. */
export interface VectorSet {
  /** Names the set in the fixture. */
  key: string;
  vectors(): Vector[];
  /**
   * What is an approximation on every processor: single-precision lanes within the architecture's error bound of RCPPS and its
   * like, x87 registers within one unit in the last place.
   */
  approximate: boolean;
}

/** A fixture: fixtures/vectors-NAME.bin.gz */
export interface Family {
  name: string;
  sets(): VectorSet[];
}

const APPROXIMATE = ['rcpps', 'rcpss', 'rsqrtps', 'rsqrtss'];

function setOf(form: Form, count: number, inputs = inputsOf): VectorSet {
  const { name } = form.encoded.row;
  return {
    key: form.key,
    vectors: () =>
      inputs(form, count).map((before) => ({
        before,
        openFlags: undefinedFlags(form, before),
        openResult: undefinedResult(form, before),
      })),
    approximate: APPROXIMATE.includes(name) || TRANSCENDENTAL.test(name),
  };
}

const isMmxOperand = ({ operands }: EncodedRow['encoding']): boolean =>
  operands.some((o) => 'PQN'.includes(o.kind));
const isMmx = ({ row, encoding }: EncodedRow): boolean => isMmxOperand(encoding) || row.name === 'emms';
/** Vector registers or MXCSR, but not the x87 rows. */
const isSse = ({ row, encoding }: EncodedRow): boolean =>
  row.options.fpu === true &&
  !isMmxOperand(encoding) &&
  (encoding.operands.some((o) => 'VWU'.includes(o.kind)) || row.name.endsWith('mxcsr'));
/** What depends on MXCSR. */
const isFloating = (r: EncodedRow): boolean => isSse(r) && FLOATING.test(r.row.name);
const isX87Row = ({ encoding: { map, opcode } }: EncodedRow): boolean =>
  map === 0 && (opcode === 0x9b || (opcode >= 0xd8 && opcode <= 0xdf));
const isInteger = ({ row }: EncodedRow): boolean => row.options.fpu !== true;

const integerCount = (form: Form): number => (form.encoded.row.options.cc ? 8 : form.rep ? 16 : 32);
const sseCount = ({ encoded: { row } }: Form): number =>
  /^pcmp[ei]str/.test(row.name) ? 256 : ROUNDED.test(row.name) ? 96 : 48;
/** Most rows share their handlers with 64-bit code; those that do not are looked at closely. */
const compatCount = ({ encoded: { row } }: Form): number =>
  row.options.mode === 32 ? 96 : row.options.cc ? 4 : 8;

const sequence = (n: number): VectorSet => ({
  key: `sequence ${n}`,
  vectors: () => programs(`sequence ${n}`, 100).map((p) => ({ ...p, openResult: false })),
  approximate: false,
});

export const FAMILIES: readonly Family[] = [
  { name: 'integer', sets: () => formsOf(isInteger).map((form) => setOf(form, integerCount(form))) },
  { name: 'sse', sets: () => formsOf(isSse).map((form) => setOf(form, sseCount(form))) },
  { name: 'mxcsr', sets: () => formsOf(isFloating).map((form) => setOf(form, 128, mxcsrInputsOf)) },
  { name: 'mmx', sets: () => formsOf(isMmx).map((form) => setOf(form, 32)) },
  { name: 'x87', sets: () => formsOf(isX87Row).map((form) => setOf(form, 64)) },
  {
    name: 'compat',
    sets: () => formsOf((r) => isInteger(r) || isSse(r), 32).map((form) => setOf(form, compatCount(form))),
  },
  { name: 'sequences', sets: () => Array.from({ length: 80 }, (_, i) => sequence(i)) },
];
