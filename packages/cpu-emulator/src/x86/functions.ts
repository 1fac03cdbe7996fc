import type { FunctionRef, ModuleBuilder } from '@xenolith/wasm-builder';
import type { HostFunctions } from '../core/interpreter.js';
import { emitFlagFunctions, type FlagFunctions } from './flags.js';
import { emitFloatFunctions, type FloatFunctions } from './float/functions.js';

/** The module's functions that handlers call. */
export interface X86Functions {
  readonly flags: FlagFunctions;
  readonly float: FloatFunctions;
  /** See `executeX87` and `fullTags`. */
  readonly x87: FunctionRef;
  readonly x87Tags: FunctionRef;
}

/** What the module imports from the processor: see `executeSse`, `executeX87`, `fullTags`. */
export const X86_IMPORTS = {
  sse: { params: ['i32', 'i32', 'i32'], results: [] },
  x87: { params: ['i32', 'i32'], results: ['i32'] },
  x87Tags: { params: [], results: ['i32'] },
} as const satisfies HostFunctions;

export function emitX86Functions(
  m: ModuleBuilder,
  host: Record<keyof typeof X86_IMPORTS, FunctionRef>,
): X86Functions {
  const { sse, x87, x87Tags } = host;
  return { flags: emitFlagFunctions(m), float: emitFloatFunctions(m, sse), x87, x87Tags };
}
