import { emitMmu, JUMP_CACHE, JUMP_CACHE_ENTRIES, MMU, type MmuFunctions } from '@xenolith/mmu';
import {
  callExpr,
  callIndirect,
  type FunctionBuilder,
  type FunctionRef,
  type FunctionSignature,
  type I32,
  type I64,
  i32,
  i64,
  type Label,
  ModuleBuilder,
} from '@xenolith/wasm-builder';
import type { Handler, Site } from './handler.js';
import {
  BLOCK,
  BLOCK_SIZE,
  BUCKET_TABLE,
  BUCKETS,
  ENGINE,
  RECORD,
  RECORD_SIZE,
  RUN,
  STATUS,
} from './record.js';

const at = (address: number): I32 => i32.const(address);
/** An odd number with bits all over. */
const ASID_SPREAD = 0x9e3779b1 | 0;
/** Tag of a jump-cache entry: the address with the address-space id folded into its sign extension. */
const jumpTag = (rip: I64, asid: I64): I64 => i64.xor(rip, i64.shl(asid, i64.const(52)));
/** Guests, and the processes of one, use the same addresses: the id spreads them, so that they do not displace each other. */
const jumpEntry = (rip: I64, asid: I64): I32 =>
  i32.add(
    i32.shl(
      i32.and(
        i32.xor(
          i32.xor(i32.wrap(rip), i32.wrap(i64.shr_u(rip, i64.const(12)))),
          i32.mul(i32.wrap(asid), i32.const(ASID_SPREAD)),
        ),
        i32.const(JUMP_CACHE_ENTRIES - 1),
      ),
      i32.const(4),
    ),
    at(JUMP_CACHE),
  );

/** Functions that the module imports from `env` for the instruction set, by name. */
export type HostFunctions = Readonly<Record<string, FunctionSignature>>;

/** What the instruction set adds to the module. */
export interface InstructionSet {
  readonly imports: HostFunctions;
  /** Functions of its own, and its handlers, the hot ones first. */
  build(m: ModuleBuilder, host: Readonly<Record<string, FunctionRef>>): readonly Handler[];
}

/**
 * Writes the interpreter's module: a dispatch loop over decoded records (`br_table` for the hot handlers, a table of
 * functions for the rest) with the MMU. Exports `run(budget) → RUN`, `translate`, `flushAll`, `flushPage`, `forgetWrites`.
 */
export function emitInterpreter(
  set: InstructionSet,
  memoryPages: { min: number; max: number },
): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder();
  m.importMemory('env', 'memory', memoryPages.min, memoryPages.max);
  const foreign = m.importFunction('env', 'foreign', ['i32', 'i32'], ['i32']);
  const codeWritten = m.importFunction('env', 'codeWritten', ['i32', 'i32'], []);
  const watched = m.importFunction('env', 'watched', ['i64', 'i32', 'i32'], []);
  const decode = m.importFunction('env', 'decode', ['i32', 'i64'], ['i32']);
  const host = Object.fromEntries(
    Object.entries(set.imports).map(([name, s]) => [
      name,
      m.importFunction('env', name, s.params, s.results),
    ]),
  );
  const mmu = emitMmu(m, { foreign, codeWritten, watched });
  const handlers = set.build(m, host);
  const hot = handlers.filter((h) => h.hot);
  const cold = handlers.filter((h) => !h.hot);
  if (handlers.some((h, i) => h.hot !== i < hot.length)) throw new Error('hot handlers come first');

  const lookup = emitLookup(m, mmu, decode);
  m.table(cold.map((h) => emitCold(m, mmu, codeWritten, h)));
  const run = emitRun(m, mmu, lookup, codeWritten, hot);

  m.export('run', run);
  m.export('translate', mmu.walk);
  m.export('fetch', mmu.fetch);
  m.export('readSlow', mmu.readSlow);
  m.export('flushAll', mmu.flushAll);
  m.export('flushPage', mmu.flushPage);
  m.export('forgetWrites', mmu.forgetWrites);
  return m.toBytes();
}

/** (rip) → record, or 0 on a fetch fault: finds or decodes the block at an address and caches the way to it. */
function emitLookup(m: ModuleBuilder, mmu: MmuFunctions, decode: FunctionRef): FunctionRef {
  return m.function(['i64'], ['i32'], (f) => {
    const rip = f.param('i64', 0);
    const machine = f.local('i32');
    const block = f.local('i32');
    f.set(machine, callExpr<'i32'>(mmu.fetch, [rip]));
    f.if(i32.eqz(machine), () => f.return(i32.const(0)));
    const hash = i32.and(i32.xor(machine, i32.shr_u(machine, i32.const(16))), i32.const(BUCKETS - 1));
    f.set(block, i32.load(i32.add(i32.shl(hash, i32.const(2)), at(BUCKET_TABLE))));
    f.block((found) => {
      f.loop((next) => {
        f.if(i32.eqz(block), () => {
          f.set(block, callExpr<'i32'>(decode, [machine, rip]));
          f.if(i32.eqz(block), () => f.return(i32.const(0)));
          f.br(found);
        });
        f.brIf(
          found,
          i32.and(
            i32.eq(i32.load(block, BLOCK.address), machine),
            i32.eq(i32.load(block, BLOCK.mode), i32.load(at(ENGINE.mode))),
          ),
        );
        f.set(block, i32.load(block, BLOCK.nextInBucket));
        f.br(next);
      });
    });
    f.set(block, i32.add(block, i32.const(BLOCK_SIZE)));
    const entry = f.let(jumpEntry(rip, i64.load(at(MMU.asid))));
    f.store64(entry, 0, jumpTag(rip, i64.load(at(MMU.asid))));
    f.store(entry, 8, block);
    f.push(block);
  });
}

function emitCold(
  m: ModuleBuilder,
  mmu: MmuFunctions,
  codeWritten: FunctionRef,
  handler: Handler,
): FunctionRef {
  return m.function(['i32'], ['i32'], (f) => {
    const leave = (status: number) => (): void => f.return(i32.const(status));
    handler.emit({
      f,
      record: f.param('i32', 0),
      pageBase: i64.load(at(ENGINE.pageBase)),
      asid: i64.load(at(MMU.asid)),
      mmu,
      codeWritten,
      fault: leave(STATUS.fault),
      next: leave(STATUS.next),
      jump: (target) => {
        f.store64(at(ENGINE.nextRip), 0, target);
        f.return(i32.const(STATUS.jump));
      },
      jumpInPage: (_from, target) => {
        f.store64(at(ENGINE.nextRip), 0, target);
        f.return(i32.const(STATUS.jump));
      },
      again: leave(STATUS.again),
      exit: leave(STATUS.exit),
      syscall: leave(STATUS.syscall),
      exitAfter: leave(STATUS.exitAfter),
      count: () => {
        throw new Error('only hot handlers are fused');
      },
      uncount: () => f.store(at(ENGINE.budget), 0, i32.add(i32.load(at(ENGINE.budget)), i32.const(1))),
      budget: () => i32.load(at(ENGINE.budget)),
      setBudget: (value) => f.store(at(ENGINE.budget), 0, value),
    });
    f.unreachable();
  });
}

/** (budget) → RUN */
function emitRun(
  m: ModuleBuilder,
  mmu: MmuFunctions,
  lookup: FunctionRef,
  codeWritten: FunctionRef,
  hot: readonly Handler[],
): FunctionRef {
  const coldType = m.typeIndex(['i32'], ['i32']);
  return m.function(['i32'], ['i32'], (f) => {
    const budget = f.param('i32', 0);
    const record = f.local('i32');
    const pageBase = f.local('i64');
    const asid = f.local('i64');
    const nextRip = f.local('i64');
    const linkFrom = f.local('i32');
    const generation = f.local('i32');
    const status = f.local('i32');
    const one = i32.const(1);
    const here = (): I64 => i64.add(pageBase, i64.extend_u(i32.load16_u(record, RECORD.offset)));
    const leave = (rip: I64, kind: number): void => {
      f.store64(at(ENGINE.rip), 0, rip);
      f.store(at(ENGINE.budget), 0, budget);
      f.return(i32.const(kind));
    };
    const lookUp = (): void => {
      f.set(record, callExpr<'i32'>(lookup, [nextRip]));
      f.if(i32.eqz(record), () => leave(nextRip, RUN.fault));
    };

    f.store(at(ENGINE.runBudget), 0, budget);
    f.set(asid, i64.load(at(MMU.asid)));
    f.set(nextRip, i64.load(at(ENGINE.rip)));
    f.set(pageBase, i64.and(nextRip, i64.const(-4096)));
    f.store64(at(ENGINE.pageBase), 0, pageBase);
    lookUp();
    f.loop((outer) => {
      f.block((jump) => {
        f.block((link) => {
          f.block((fault) => {
            f.loop((dispatch) => {
              f.if(i32.eqz(budget), () => leave(here(), RUN.budget));
              f.set(budget, i32.sub(budget, one));
              const site: Site = {
                f,
                record,
                pageBase,
                asid,
                mmu,
                codeWritten,
                fault: () => f.br(fault),
                next: (skip = 1) => {
                  f.set(record, i32.add(record, i32.const(RECORD_SIZE * skip)));
                  f.br(dispatch);
                },
                jump: (target) => {
                  f.set(nextRip, target);
                  f.br(jump);
                },
                jumpInPage: (from, target) => {
                  f.set(linkFrom, from);
                  const linked = f.let(i32.load(linkFrom, RECORD.link));
                  f.if(linked, () => {
                    f.set(record, linked);
                    f.br(dispatch);
                  });
                  f.set(nextRip, target);
                  f.br(link);
                },
                again: () => f.br(dispatch),
                exit: () => {
                  f.set(budget, i32.add(budget, one));
                  leave(here(), RUN.instruction);
                },
                syscall: () => {
                  f.store(at(ENGINE.syscallLength), 0, i32.load8_u(record, RECORD.length));
                  f.set(budget, i32.add(budget, one));
                  leave(here(), RUN.syscall);
                },
                exitAfter: () => {
                  f.set(record, i32.add(record, i32.const(RECORD_SIZE)));
                  leave(here(), RUN.pause);
                },
                count: (none) => {
                  f.if(i32.eqz(budget), none);
                  f.set(budget, i32.sub(budget, one));
                },
                uncount: () => f.set(budget, i32.add(budget, one)),
                budget: () => budget,
                setBudget: (value) => f.set(budget, value),
              };
              emitDispatch(f, site, hot, () => {
                f.store(at(ENGINE.budget), 0, budget);
                f.set(
                  status,
                  callIndirect(
                    coldType,
                    { params: ['i32'], results: ['i32'] },
                    i32.sub(i32.load16_u(record), i32.const(hot.length)),
                    [record],
                  ),
                );
                f.set(budget, i32.load(at(ENGINE.budget)));
                f.if(i32.eqz(status), () => site.next());
                f.brIf(dispatch, i32.eq(status, i32.const(STATUS.again)));
                f.brIf(fault, i32.eq(status, i32.const(STATUS.fault)));
                f.if(i32.eq(status, i32.const(STATUS.jump)), () => site.jump(i64.load(at(ENGINE.nextRip))));
                f.if(i32.eq(status, i32.const(STATUS.exit)), () => site.exit());
                f.if(i32.eq(status, i32.const(STATUS.syscall)), () => site.syscall());
                site.exitAfter();
              });
            });
          });
          f.set(budget, i32.add(budget, one));
          leave(here(), RUN.fault);
        });
        // A first jump within the page: remember the way, unless the cache was dropped while it was found.
        f.set(generation, i32.load(at(ENGINE.generation)));
        lookUp();
        f.if(i32.eq(generation, i32.load(at(ENGINE.generation))), () =>
          f.store(linkFrom, RECORD.link, record),
        );
        f.br(outer);
      });
      f.set(pageBase, i64.and(nextRip, i64.const(-4096)));
      f.store64(at(ENGINE.pageBase), 0, pageBase);
      const entry = f.let(jumpEntry(nextRip, asid));
      f.if(i64.eq(i64.load(entry), jumpTag(nextRip, asid)), () => f.set(record, i32.load(entry, 8)), lookUp);
      f.br(outer);
    });
    f.unreachable();
  });
}

/** Nested blocks, one a hot handler, with the `br_table` in the innermost; whatever has no block is cold. */
function emitDispatch(f: FunctionBuilder, site: Site, hot: readonly Handler[], cold: () => void): void {
  const labels: Label[] = new Array(hot.length);
  const nest = (i: number): void => {
    if (i === hot.length) {
      f.block((rest) => f.brTable(labels, rest, i32.load16_u(site.record)));
      cold();
      return;
    }
    f.block((label) => {
      labels[i] = label;
      nest(i + 1);
    });
    f.scope(() => hot[i]!.emit(site));
  };
  nest(0);
}
