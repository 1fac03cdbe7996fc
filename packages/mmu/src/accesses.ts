import {
  callExpr,
  type FunctionBuilder,
  type FunctionRef,
  type I32,
  type I64,
  i32,
  i64,
  type ModuleBuilder,
} from '@xenolith/wasm-builder';
import { MMU } from './control.js';
import {
  FRAME,
  JUMP_CACHE,
  JUMP_CACHE_ENTRIES,
  PAGE_SIZE,
  TLB_ENTRIES,
  TLB_ENTRY_SIZE,
  TLB_EXEC,
  TLB_READ,
  TLB_WRITE,
} from './layout.js';
import { ACCESS, emitWalk, frameEntry, tlbEntry, tlbTag } from './walker.js';

/** The MMU's functions in the engine's module. All addresses returned are machine addresses, 0 for a fault. */
export interface MmuFunctions {
  walk: FunctionRef;
  /** (linear i64, size i32) → where `size` ≤ 64 bytes can be read at once. */
  readSlow: FunctionRef;
  /** (linear i64, size i32) → where `size` ≤ 64 bytes can be read and written at once; when that is `MMU.bounce`, `writeEnd` must follow. */
  writeBegin: FunctionRef;
  /** () → (): brings the bounce buffer's bytes to their frames and tells the code cache. */
  writeEnd: FunctionRef;
  /** (linear i64) → machine address of code. */
  fetch: FunctionRef;
  flushAll: FunctionRef;
  flushPage: FunctionRef;
  /** (machine page i32): no write entry leads to this page any more. */
  forgetWrites: FunctionRef;
}

export interface MmuImports {
  /** (mfn i32, write i32) → i32 */
  foreign: FunctionRef;
  /** (machine address i32, length i32): decoded code was written. */
  codeWritten: FunctionRef;
  /** (linear i64, size i32, write i32): data was accessed, or its instruction faults later on; while `MMU.watching`. */
  watched: FunctionRef;
}

const at = (address: number): I32 => i32.const(address);

/** Emits the walker, the slow paths of memory accesses and the flushes. */
export function emitMmu(m: ModuleBuilder, imports: MmuImports): MmuFunctions {
  const walk = emitWalk(m, imports.foreign);
  const walkFor = (address: Parameters<typeof tlbTag>[0], access: number): I32 =>
    callExpr<'i32'>(walk, [address, i32.const(access)]);

  /** (machine, length) → 1 when one of the 64-byte lines holds decoded code. */
  const hitsCode = m.function(['i32', 'i32'], ['i32'], (f) => {
    const machine = f.param('i32', 0);
    const last = i32.sub(i32.add(machine, f.param('i32', 1)), i32.const(1));
    const line = (a: I32) => i64.extend_u(i32.and(i32.shr_u(a, i32.const(6)), i32.const(63)));
    const bits = i64.load(frameEntry(machine), FRAME.codeLines);
    // From the first line up to and including the last: accesses of at most 64 bytes touch two lines.
    f.push(
      i64.ne(
        i64.and(bits, i64.or(i64.shl(i64.const(1), line(machine)), i64.shl(i64.const(1), line(last)))),
        i64.const(0),
      ),
    );
  });

  const tell = (f: FunctionBuilder, address: I64, size: I32, write: boolean): void =>
    f.if(i32.load(at(MMU.watching)), () => f.call(imports.watched, address, size, i32.const(Number(write))));

  const readSlow = m.function(['i64', 'i32'], ['i32'], (f) => {
    const address = f.param('i64', 0);
    const size = f.param('i32', 1);
    const first = f.local('i32');
    const second = f.local('i32');
    const firstLength = f.local('i32');
    f.set(firstLength, i32.sub(i32.const(PAGE_SIZE), i32.and(i32.wrap(address), i32.const(PAGE_SIZE - 1))));
    tell(f, address, size, false);
    f.set(first, walkFor(address, ACCESS.read));
    f.if(i32.or(i32.eqz(first), i32.ge_u(firstLength, size)), () => f.return(first));
    f.set(second, walkFor(i64.add(address, i64.extend_u(firstLength)), ACCESS.read));
    f.if(i32.eqz(second), () => f.return(i32.const(0)));
    f.memoryCopy(at(MMU.bounce), first, firstLength);
    f.memoryCopy(i32.add(at(MMU.bounce), firstLength), second, i32.sub(size, firstLength));
    f.push(at(MMU.bounce));
  });

  const writeBegin = m.function(['i64', 'i32'], ['i32'], (f) => {
    const address = f.param('i64', 0);
    const size = f.param('i32', 1);
    const first = f.local('i32');
    const second = f.local('i32');
    const firstLength = f.local('i32');
    f.set(firstLength, i32.sub(i32.const(PAGE_SIZE), i32.and(i32.wrap(address), i32.const(PAGE_SIZE - 1))));
    tell(f, address, size, true);
    f.set(first, walkFor(address, ACCESS.write));
    f.if(i32.eqz(first), () => f.return(i32.const(0)));
    f.if(
      i32.ge_u(firstLength, size),
      () => {
        f.if(i32.eqz(callExpr<'i32'>(hitsCode, [first, size])), () => f.return(first));
        f.set(firstLength, size);
      },
      () => {
        f.set(second, walkFor(i64.add(address, i64.extend_u(firstLength)), ACCESS.write));
        f.if(i32.eqz(second), () => f.return(i32.const(0)));
      },
    );
    f.store(at(MMU.part1), 0, first);
    f.store(at(MMU.part1Length), 0, firstLength);
    f.store(at(MMU.part2), 0, second);
    f.store(at(MMU.part2Length), 0, i32.sub(size, firstLength));
    f.memoryCopy(at(MMU.bounce), first, firstLength);
    f.memoryCopy(i32.add(at(MMU.bounce), firstLength), second, i32.sub(size, firstLength));
    f.push(at(MMU.bounce));
  });

  const writeEnd = m.function([], [], (f) => {
    const part = (address: number, length: number, from: I32): void => {
      const to = i32.load(at(address));
      const count = i32.load(at(length));
      f.if(count, () => {
        f.memoryCopy(to, from, count);
        f.if(callExpr<'i32'>(hitsCode, [to, count]), () => f.call(imports.codeWritten, to, count));
      });
    };
    part(MMU.part1, MMU.part1Length, at(MMU.bounce));
    part(MMU.part2, MMU.part2Length, i32.add(at(MMU.bounce), i32.load(at(MMU.part1Length))));
  });

  const fetch = m.function(['i64'], ['i32'], (f) => {
    const address = f.param('i64', 0);
    const entry = f.let(tlbEntry(at(TLB_EXEC), address));
    f.if(i64.eq(i64.load(entry), tlbTag(address)), () =>
      f.return(i32.add(i32.wrap(address), i32.load(entry, 8))),
    );
    f.push(walkFor(address, ACCESS.fetch));
  });

  const tables = [TLB_READ, TLB_WRITE, TLB_EXEC];
  const flushAll = m.function([], [], (f) => {
    f.memoryFill(at(TLB_READ), i32.const(0xff), i32.const(tables.length * TLB_ENTRIES * TLB_ENTRY_SIZE));
    f.memoryFill(at(JUMP_CACHE), i32.const(0xff), i32.const(JUMP_CACHE_ENTRIES * 16));
    f.store(at(MMU.largePages), 0, i32.const(0));
  });

  const flushPage = m.function(['i64'], [], (f) => {
    const address = f.param('i64', 0);
    // One page's address names all of the large page that it lies in.
    f.if(i32.load(at(MMU.largePages)), () => {
      f.call(flushAll);
      f.return();
    });
    for (const table of [TLB_READ, TLB_WRITE]) f.store64(tlbEntry(at(table), address), 0, i64.const(-1));
    // Jump targets are cached by linear address only for pages that have, or since lost, an entry here.
    const exec = f.let(tlbEntry(at(TLB_EXEC), address));
    f.if(i64.ne(i64.load(exec), i64.const(-1)), () => {
      f.store64(exec, 0, i64.const(-1));
      f.memoryFill(at(JUMP_CACHE), i32.const(0xff), i32.const(JUMP_CACHE_ENTRIES * 16));
    });
  });

  const forgetWrites = m.function(['i32'], [], (f) => {
    const page = f.param('i32', 0);
    const entry = f.local('i32');
    f.set(entry, at(TLB_WRITE));
    f.loop((next) => {
      f.if(
        i32.eq(i32.and(i32.add(i32.wrap(i64.load(entry)), i32.load(entry, 8)), i32.const(-PAGE_SIZE)), page),
        () => f.store64(entry, 0, i64.const(-1)),
      );
      f.set(entry, i32.add(entry, i32.const(TLB_ENTRY_SIZE)));
      f.brIf(next, i32.lt_u(entry, at(TLB_WRITE + TLB_ENTRIES * TLB_ENTRY_SIZE)));
    });
  });

  return { walk, readSlow, writeBegin, writeEnd, fetch, flushAll, flushPage, forgetWrites };
}
