import { callExpr, i32, i64 } from '@xenolith/wasm-builder';
import type { Handler, Site } from '../core/handler.js';
import type { InstructionSet } from '../core/interpreter.js';
import { BLOCK, BLOCK_SIZE, ENGINE, FAULT, RECORD } from '../core/record.js';
import { type EncodedRow, effectiveSize, encodedRows } from './decode.js';
import { type Size, zeroExtend } from './flags.js';
import { emitX86Functions, X86_IMPORTS, type X86Functions } from './functions.js';
import { fusedConditions, isHot } from './hot.js';
import { type OperandSpec, operandBytes } from './operand.js';
import { Context, type ContextSettings, type Place } from './semantics.js';
import { gprSlot, REG, STATE } from './state.js';
import {
  type Form,
  fusedKey,
  MICRO,
  type Micro,
  type Numbering,
  type Variant,
  variantKey,
} from './variants.js';

const usesRm = (o: OperandSpec): boolean => 'EOMRWUDQN'.includes(o.kind);
const isVector = (o: OperandSpec): boolean => 'VWUPQN'.includes(o.kind);
const mayBeMemory = (o: OperandSpec): boolean => 'EMWDQ'.includes(o.kind);

/** Where an encoding's operands are in a record. */
function places(r: EncodedRow, v: Variant): Place[] {
  const specs = r.encoding.operands;
  return specs.map((o): Place => {
    const size = isVector(o) && o.size === '' ? 16 : operandBytes(o.size, v.size);
    const memory: Place = { kind: 'memory', size, index: v.form === 'index' };
    switch (o.kind) {
      case 'E':
      case 'W':
        return v.form === 'register' ? { kind: 'rm', size } : memory;
      case 'Q':
        return v.form === 'register' ? { kind: 'rm', size: 8, mmx: true } : memory;
      case 'N':
        return { kind: 'rm', size: 8, mmx: true };
      case 'P':
        return { kind: 'reg', size: 8, mmx: true };
      case 'M':
      case 'D':
        return memory;
      case 'O':
      case 'R':
      case 'U':
        return { kind: 'rm', size };
      case 'G':
      case 'V':
        return { kind: 'reg', size };
      case 'A':
        return specs.some(usesRm) ? { kind: 'reg', size } : { kind: 'rm', size };
      case 'C':
        return { kind: 'fixed', size, slot: gprSlot(REG.rcx) };
      case '1':
        return { kind: 'constant', size, value: 1 };
      case 'I':
      case 'sI':
        return { kind: 'immediate', size };
      case 'J':
        return { kind: 'target' };
      default:
        return { kind: 'constant', size: 2, value: 0 };
    }
  });
}

/** Every variant that an encoding can be decoded to. */
function variants(r: EncodedRow): Variant[] {
  const { encoding, row } = r;
  const { options } = row;
  const specs = encoding.operands;
  const sized =
    specs.some((o) => ['v', 'z', 'y'].includes(o.size) || (o.size === '' && !isVector(o))) ||
    specs.length === 0;
  const sizes: Variant['size'][] = options.force64
    ? [8, 4]
    : sized || options.default64
      ? [2, 4, 8]
      : [4, 8, 2];
  const memory = specs.some(mayBeMemory);
  const registerToo = !specs.some((o) => o.kind === 'M' || o.kind === 'D') && encoding.mod !== 'm';
  const forms: Form[] = [
    ...(registerToo ? (['register'] as const) : []),
    ...(memory && encoding.mod !== 'r' ? (['base', 'index'] as const) : []),
  ];
  const ccs = options.cc ? Array.from({ length: 16 }, (_, i) => i) : [0];
  const reps = options.rep ? (['', 'repz', 'repnz'] as const) : ([''] as const);
  const nears = options.near ? [false, true] : [false];
  const stacks = options.rep ? ([8, 4, 2] as const) : ([8, 4] as const);
  const out: Variant[] = [];
  for (const size of sizes)
    for (const form of forms)
      for (const cc of ccs)
        for (const rep of reps)
          for (const near of nears)
            for (const stack of stacks) out.push({ size, form, cc, rep, near, stack });
  return out;
}

const at = (address: number) => i32.const(address);

const microHandlers: Record<Micro, (site: Site) => void> = {
  /** On to the code behind the block, in this page or the next. */
  continue: (site) => {
    site.uncount();
    site.jumpInPage(site.record, i64.add(site.pageBase, i64.load(site.record, RECORD.imm)));
  },
  continueFar: (site) => {
    site.uncount();
    site.jump(i64.add(site.pageBase, i64.load(site.record, RECORD.imm)));
  },
  /** The block was dropped because its bytes were written: find what is there now. */
  stale: (site) => {
    site.uncount();
    site.jumpInPage(
      site.record,
      i64.add(site.pageBase, i64.extend_u(i32.load16_u(site.record, RECORD.offset))),
    );
  },
  /** The instruction behind goes on in the next page, which must be the one that it was decoded from. */
  checkNext: (site) => {
    const { f } = site;
    const machine = f.let(callExpr<'i32'>(site.mmu.fetch, [i64.add(site.pageBase, i64.const(4096))]));
    f.if(i32.eqz(machine), () => site.fault());
    site.uncount();
    f.if(i32.eq(machine, i32.load(site.record, RECORD.imm)), () => site.next());
    f.call(
      site.codeWritten,
      i32.load(i32.sub(site.record, i32.const(BLOCK_SIZE)), BLOCK.address),
      i32.const(1),
    );
    site.again();
  },
  /** An effective address that needs more than base + index + disp: a segment base (its slot in `reg`). */
  address: (site) => addressMicro(site, 8),
  address32: (site) => addressMicro(site, 4),
  address16: (site) => addressMicro(site, 2),
  absolute: (site) => {
    const { f, record } = site;
    f.store64(
      at(ENGINE.temp),
      0,
      i64.add(i64.load(record, RECORD.imm), i64.load(i32.load16_u(record, RECORD.reg))),
    );
    site.uncount();
    site.next();
  },
  /** #NM while CR0.TS is set. */
  fpu: (site) => {
    const { f } = site;
    f.if(i32.load(at(STATE.taskSwitched)), () => raise(site, 7, -1));
    site.uncount();
    site.next();
  },
  invalid: (site) => raise(site, 6, -1),
  tooLong: (site) => raise(site, 13, 0),
};

function raise(site: Site, vector: number, code: number): void {
  site.f.store(at(FAULT.vector), 0, i32.const(vector));
  site.f.store(at(FAULT.code), 0, i32.const(code));
  site.fault();
}

function addressMicro(site: Site, size: Size): void {
  const { f, record } = site;
  const sum = i64.add(
    i64.add(i64.load(i32.load16_u(record, RECORD.rm)), i64.load32_s(record, RECORD.disp)),
    i64.shl(i64.load(i32.load16_u(record, RECORD.index)), i64.load8_u(record, RECORD.scale)),
  );
  const segment = i64.load(i32.load16_u(record, RECORD.reg));
  f.store64(at(ENGINE.temp), 0, i64.add(zeroExtend(size, sum), segment));
  site.uncount();
  site.next();
}

interface Instance {
  name: string;
  hot: boolean;
  emit(site: Site, functions: X86Functions): void;
}

function settings(r: EncodedRow, v: Variant): Omit<ContextSettings, 'site' | 'functions'> {
  const rep = v.rep === '' ? undefined : r.row.options.rep === 'rep' ? 'rep' : v.rep;
  return {
    places: places(r, v),
    size: effectiveSize(r.encoding, v.size) as Size,
    cc: v.cc,
    ...(rep && { rep }),
    near: v.near,
    stack: v.stack,
  };
}

function describe(r: EncodedRow, s: Omit<ContextSettings, 'site' | 'functions'>): string {
  const ops = s.places.map((p) => {
    switch (p.kind) {
      case 'memory':
        return `${p.index ? 'x' : 'm'}${p.size}`;
      case 'fixed':
        return `f${p.slot}.${p.size}`;
      case 'constant':
        return `c${p.value}`;
      case 'target':
        return 'j';
      case 'immediate':
        return 'i';
      default:
        return `${p.kind}${p.mmx ? 'q' : ''}${p.size}`;
    }
  });
  const { options } = r.row;
  // What the semantics cannot see makes no handler of its own.
  const cc = options.cc ? `.${s.cc}` : '';
  return `${r.row.name}${cc} ${ops.join()} /${s.size}${s.rep ? ` ${s.rep}` : ''}${s.near ? ' near' : ''}${usesPointers(r) && s.stack !== 8 ? ` s${s.stack}` : ''}`;
}

/** Rows whose semantics depends on the width of rsp, rcx, rsi and rdi; all others share handlers between the modes. */
const usesPointers = ({ row: { options } }: EncodedRow): boolean =>
  options.default64 === true ||
  options.force64 === true ||
  options.rep !== undefined ||
  options.implicitAddress === true;

interface Enumeration {
  list: readonly Instance[];
  numbering: Numbering;
}

let made: Enumeration | undefined;

/** Once: the numbering must be that of the handlers which `buildHandlers` writes. */
function enumeration(): Enumeration {
  made ??= enumerate();
  return made;
}

export const enumerateNumbering = (): Numbering => enumeration().numbering;

/** Numbers all handlers, the hot ones first. */
function enumerate(): Enumeration {
  const byName = new Map<string, Instance>();
  const byVariant = new Map<number, string>();
  const identities = new Map<unknown, number>();
  const identity = (semantics: unknown): number => {
    if (!identities.has(semantics)) identities.set(semantics, identities.size);
    return identities.get(semantics)!;
  };
  for (const r of encodedRows) {
    for (const v of variants(r)) {
      const s = settings(r, v);
      // Rows of one name may mean different things (two kinds of PUSH); rows that mean the same share handlers.
      const name = `${describe(r, s)} #${identity(r.row.semantics)}`;
      byVariant.set(variantKey(r.index, v), name);
      if (byName.has(name)) continue;
      const hot = isHot(r.row.name, s);
      byName.set(name, {
        name,
        hot,
        emit: (site, functions) => {
          r.row.semantics(new Context({ ...s, site, functions }));
          site.next();
        },
      });
    }
  }

  const base = [...byName.values()];
  const fusedByName = new Map<string, Instance>();
  for (const r of encodedRows) {
    for (const v of variants(r)) {
      const s = settings(r, v);
      const first = byName.get(byVariant.get(variantKey(r.index, v))!)!;
      if (!first.hot) continue;
      for (const cc of fusedConditions(r.row.name, s)) {
        const name = `${first.name}+${cc}`;
        if (fusedByName.has(name)) continue;
        fusedByName.set(name, {
          name,
          hot: true,
          emit: (site, functions) => emitFused(r, s, cc, site, functions),
        });
      }
    }
  }

  const micro: Instance[] = MICRO.map((m) => ({
    name: `micro:${m}`,
    hot: !['checkNext', 'tooLong', 'invalid', 'address16'].includes(m),
    emit: (site) => microHandlers[m](site),
  }));
  const all = [...micro, ...fusedByName.values(), ...base];
  const list = [...all.filter((h) => h.hot), ...all.filter((h) => !h.hot)];
  const number = new Map(list.map((h, i) => [h.name, i]));
  const handlers = [...byVariant].flatMap(([key, name]) => [key, number.get(name)!]);
  const fused = [...fusedByName.keys()].flatMap((name) => {
    const plus = name.lastIndexOf('+');
    return [fusedKey(number.get(name.slice(0, plus))!, Number(name.slice(plus + 1))), number.get(name)!];
  });
  const microNumbers = Object.fromEntries(MICRO.map((m) => [m, number.get(`micro:${m}`)!])) as Record<
    Micro,
    number
  >;
  return { list, numbering: { micro: microNumbers, handlers, fused } };
}

/** The first instruction, then the branch whose record follows. */
function emitFused(
  r: EncodedRow,
  s: Omit<ContextSettings, 'site' | 'functions'>,
  cc: number,
  site: Site,
  functions: X86Functions,
): void {
  const cx = new Context({ ...s, near: true, site, functions });
  r.row.semantics(cx);
  site.count(() => site.next());
  site.f.if(cx.flags.condition(cc), () => cx.jumpRelative(cx.nextRecord()));
  site.next(2);
}

/** The handlers in the order of their numbers, with the module's functions that they call. */
export const x86InstructionSet: InstructionSet = {
  imports: X86_IMPORTS,
  build: (m, host) => {
    const functions = emitX86Functions(m, host as Parameters<typeof emitX86Functions>[1]);
    return enumeration().list.map(
      (h): Handler => ({ name: h.name, hot: h.hot, emit: (site) => h.emit(site, functions) }),
    );
  },
};
