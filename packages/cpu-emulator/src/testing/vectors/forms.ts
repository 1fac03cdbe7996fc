import { type EncodedRow, encodedRows } from '../../x86/decode.js';

/** One way of writing an instruction; every form has a sequence of vectors of its own. */
export interface Form {
  /** Names the form in the fixture, whatever other rows the table has. */
  key: string;
  encoded: EncodedRow;
  mode: 64 | 32;
  size: 2 | 4 | 8;
  memory: boolean;
  cc: number;
  rep: '' | 'repz' | 'repnz';
}

/** Rows that depend on more than registers and the window, or that leave the processor: tests of their own. */
const SKIPPED = new Set([
  'cpuid',
  'fninit',
  'fsgsbase',
  'fxrstor',
  'fxsave',
  'in',
  'ins',
  'invlpg',
  'iret',
  'lar',
  'lgdt',
  'lidt',
  'lldt',
  'lmsw',
  'lsl',
  'ltr',
  'out',
  'outs',
  'pause',
  'rdrand',
  'rdtsc',
  'rdtscp',
  'retf',
  'verr',
  'verw',
  'xgetbv',
]);

const skipped = ({ row, encoding }: EncodedRow): boolean =>
  SKIPPED.has(row.name) ||
  // Selectors and far transfers.
  encoding.operands.some((o) => o.kind === 'S' || o.kind === 'F') ||
  (row.name === 'push' && encoding.operands.length === 0) ||
  (row.options.ends === true && (!['jmp', 'call', 'ret'].includes(row.name) || encoding.mod === 'm'));

const MAPS = ['', '0f.', '0f38.', '0f3a.'];

function keyOf({ row, encoding: e }: EncodedRow, form: Omit<Form, 'key' | 'encoded'>): string {
  const opcode = `${MAPS[e.map]}${e.opcode.toString(16).padStart(2, '0')}`;
  const select = `${e.modrm === undefined ? '' : `=${e.modrm.toString(16)}`}${e.group === undefined ? '' : `/${e.group}`}${e.mod ?? ''}`;
  const operands = e.operands.map((o) => o.kind + o.size).join();
  const cc = row.options.cc ? ` cc${form.cc}` : '';
  const variant = `${form.size}${form.memory ? 'm' : 'r'}${cc}${form.rep && ` ${form.rep}`}`;
  const prefix = e.prefix === 'norep' ? 'any' : e.prefix;
  return `${row.name} ${prefix}.${opcode}${select} ${operands} ${variant}${form.mode === 32 ? ' compat' : ''}`;
}

function sizesOf(r: EncodedRow, mode: 64 | 32): Form['size'][] {
  if (mode === 64) return longSizes(r);
  const sizes = r.row.options.force64
    ? [4 as const]
    : r.row.options.default64
      ? [4 as const, 2 as const]
      : longSizes(r);
  return sizes.filter((size) => size !== 8);
}

function longSizes({ row, encoding }: EncodedRow): Form['size'][] {
  const { operands } = encoding;
  if (row.options.force64) return [8];
  const plain = ['any', 'norep', 'f2', 'f3'].includes(encoding.prefix);
  if (row.options.default64) return [8, 2];
  // 16 bits of BSWAP are undefined; "y" has no 16-bit form.
  const small = operands.some((o) => o.size === 'v' || o.size === 'z') && plain;
  const wide = operands.some((o) => ['v', 'z', 'y', ''].includes(o.size) && 'EGOARMDX'.includes(o.kind));
  const conversion = row.name === 'cbw' || row.name === 'cwd';
  if (conversion) return [2, 4, 8];
  return [...(small ? [2 as const] : []), 4, ...(wide ? [8 as const] : [])];
}

/** Every form of the rows that `wanted` picks, in 64-bit code or in compatibility code. */
export function formsOf(wanted: (r: EncodedRow) => boolean, mode: 64 | 32 = 64): Form[] {
  const forms = new Map<string, Form>();
  const exists = ({ row }: EncodedRow): boolean => (row.options.mode ?? mode) === mode;
  for (const encoded of encodedRows.filter((r) => wanted(r) && exists(r) && !skipped(r))) {
    const { encoding, row } = encoded;
    const { operands } = encoding;
    const mayBeMemory = operands.some((o) => 'EMWDQ'.includes(o.kind)) && encoding.mod !== 'r';
    const mayBeRegister = !operands.some((o) => 'MD'.includes(o.kind)) && encoding.mod !== 'm';
    for (const size of sizesOf(encoded, mode)) {
      for (const memory of [...(mayBeRegister ? [false] : []), ...(mayBeMemory ? [true] : [])]) {
        for (let cc = 0; cc < (row.options.cc ? 16 : 1); cc++) {
          for (const rep of row.options.rep ? (['', 'repz', 'repnz'] as const) : ([''] as const)) {
            const form = { mode, size, memory, cc, rep };
            const key = keyOf(encoded, form);
            if (!forms.has(key)) forms.set(key, { key, encoded, ...form });
          }
        }
      }
    }
  }
  return [...forms.values()];
}
