import type { MmuFunctions } from '@xenolith/mmu';
import type { FunctionBuilder, FunctionRef, I32, I64, Local } from '@xenolith/wasm-builder';

/** Where a handler's code is emitted: in the dispatch loop (hot) or in a function of its own (cold). */
export interface Site {
  readonly f: FunctionBuilder;
  readonly record: Local<'i32'>;
  readonly pageBase: I64;
  readonly asid: I64;
  readonly mmu: MmuFunctions;
  /** (machine address, length): drops the blocks decoded from these bytes. */
  readonly codeWritten: FunctionRef;
  /** Leaves with the fault that stands in `FAULT`. */
  fault(): void;
  /** Ends the instruction: on to the record behind it, or `skip` records further. */
  next(skip?: number): void;
  /** Continues at a linear address. */
  jump(target: I64): void;
  /** Continues at `target` in the same page; `from` is the record that remembers where that is decoded. */
  jumpInPage(from: I32, target: I64): void;
  /** The instruction again, leaves in front of it, leaves behind it: see `STATUS`. */
  again(): void;
  exit(): void;
  /** As `exit`, for SYSCALL. */
  syscall(): void;
  exitAfter(): void;
  /** A second instruction begins in this handler: runs `none` when the budget is used up, counts it otherwise. */
  count(none: () => void): void;
  /** This was no instruction of the guest's: it is not counted. */
  uncount(): void;
  budget(): I32;
  setBudget(value: I32): void;
}

/** One handler of the interpreter, generated for one combination of operands. */
export interface Handler {
  name: string;
  hot: boolean;
  emit(site: Site): void;
}
