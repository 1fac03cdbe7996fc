import { FLAG } from '../../x86/state.js';
import { assemble, type Choices } from './assemble.js';
import { type Form, formsOf } from './forms.js';
import { fillWindow } from './inputs.js';
import { Random } from './random.js';
import { CODE_PAGES, STACK, VectorState, WINDOW } from './state.js';
import { ALL, mayLeaveUndefined, readsFlags, setsFlags } from './undefined-flags.js';

/** A short program, and the flags that the manuals leave undefined at its end. */
export interface Program {
  before: VectorState;
  openFlags: number;
}

const RSP = 4;
/** Forward branches and whatever needs nothing but registers, the window and a little stack. */
const LEFT_OUT =
  /^(div|idiv|enter|leave|ret|call|jmp|xlat|movs|stos|lods|cmps|scas|cmpxchg8b|loop|loope|loopne|jrcxz|popf|nop|prefetch|fence|clflush|movabs)$/;
const STACKED = ['push', 'pop', 'pushf'];
/** Rows that compilers put in front of a conditional branch. */
const COMPARING = ['cmp', 'test', 'add', 'sub', 'and', 'or', 'inc', 'dec', 'neg', 'xor', 'shl', 'shr'];

interface Pool {
  byRow: Form[][];
  comparing: Form[][];
  branches: Form[];
}
let pool: Pool | undefined;

function forms(): Pool {
  if (pool) return pool;
  const usable = formsOf(({ row }) => row.options.fpu !== true && !LEFT_OUT.test(row.name)).filter((form) => {
    const { row, encoding } = form.encoded;
    // A bit offset in a register reaches anywhere; SHLD and SHRD of 16 bits may leave their result open.
    if (row.name.startsWith('bt') && form.memory && encoding.opcode !== 0xba) return false;
    return !(row.name.startsWith('sh') && row.name.endsWith('d') && form.size === 2);
  });
  const byName = new Map<string, Form[]>();
  for (const form of usable) {
    const { name } = form.encoded.row;
    byName.set(name, [...(byName.get(name) ?? []), form]);
  }
  const branches = byName.get('j')!;
  byName.delete('j');
  pool = {
    byRow: [...byName.values()],
    comparing: COMPARING.map((name) => byName.get(name)!),
    branches,
  };
  return pool;
}

/** The `count` programs of a seed: up to six instructions each, flags flowing from one to another. */
export function programs(seed: string, count: number): Program[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => program(random));
}

function choose(random: Random, open: number, stackLeft: number): Form {
  const { byRow, comparing, branches } = forms();
  for (;;) {
    const kind = random.below(8);
    const list = kind < 2 ? branches : random.pick(kind < 5 ? comparing : byRow);
    const form = random.pick(list);
    if (readsFlags(form) & open) continue;
    if (stackLeft === 0 && STACKED.includes(form.encoded.row.name)) continue;
    return form;
  }
}

function program(random: Random): Program {
  const before = new VectorState();
  before.mode = 64;
  before.rflags = (random.u32() & (ALL | FLAG.df)) | 0x202;
  before.mxcsr = 0x1f80;
  before.rip = CODE_PAGES + 0x400 + random.below(0x400);
  for (let i = 0; i < 16; i++) before.setGpr(i, random.interesting());
  fillWindow(before, random);
  before.setGpr(RSP, BigInt(STACK + 64));

  const length = 2 + random.below(5);
  const chosen: { form: Form; choices: Choices }[] = [];
  /** Undefined flags in front of each instruction, on any way to it. */
  const open = new Array<number>(length + 2).fill(0);
  let stackLeft = 3;
  for (let i = 0; i < length; i++) {
    const form = choose(random, open[i]!, stackLeft);
    if (STACKED.includes(form.encoded.row.name)) stackLeft--;
    chosen.push({ form, choices: choicesOf(form, random, before.rip) });
    open[i + 1]! |= (open[i]! & ~setsFlags(form)) | mayLeaveUndefined(form);
    if (form.encoded.row.name === 'j') open[i + 2]! |= open[i]!;
  }
  const parts = chosen.map(({ form, choices }) => assemble(form, choices));
  for (const [i, { form, choices }] of chosen.entries()) {
    // A branch steps over the instruction behind it.
    if (form.encoded.row.name !== 'j') continue;
    parts[i] = assemble(form, { ...choices, relative: parts[i + 1]?.length ?? 0 });
  }
  before.code = Uint8Array.from(parts.flatMap((part) => [...part]));
  return { before, openFlags: open[length]! | open[length + 1]! };
}

function choicesOf(form: Form, random: Random, rip: number): Choices {
  const { row, encoding } = form.encoded;
  const register = (): number => random.pick([0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
  const onStack = random.oneIn(2);
  const target = WINDOW + 100 + random.below(200);
  const base = onStack ? RSP : -1;
  const disp = onStack ? random.below(56) - 32 : target;
  return {
    reg: register(),
    rm: register(),
    address: form.memory ? { rip: false, base, index: -1, scale: 0, disp, target } : undefined,
    rex: random.oneIn(2),
    lock: row.options.lock === true && form.memory && encoding.operands[0]!.kind === 'E' && random.oneIn(6),
    address32: false,
    gs: false,
    immediate: random.interesting(),
    relative: 0,
    rip,
  };
}
