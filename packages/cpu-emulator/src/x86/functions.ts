import type { FunctionRef, ModuleBuilder } from '@xenolith/wasm-builder';
import type { HostFunctions } from '../core/interpreter.js';
import { emitFlagFunctions, type FlagFunctions } from './flags.js';
import { emitFloatFunctions, type FloatFunctions } from './float/functions.js';

/** The module's functions that handlers call. */
export interface X86Functions {
  readonly flags: FlagFunctions;
  readonly float: FloatFunctions;
}

/** What the module imports from the processor: see `executeSse`. */
export const X86_IMPORTS = {
  sse: { params: ['i32', 'i32', 'i32'], results: [] },
} as const satisfies HostFunctions;

export function emitX86Functions(
  m: ModuleBuilder,
  host: Record<keyof typeof X86_IMPORTS, FunctionRef>,
): X86Functions {
  return { flags: emitFlagFunctions(m), float: emitFloatFunctions(m, host.sse) };
}
