import { emitInterpreter } from '../core/interpreter.js';
import { enumerateNumbering, x86InstructionSet } from './instances.js';
import type { Numbering } from './variants.js';

// Written at run time here; the published package replaces this file by one that holds what its build wrote.

/** The interpreter's module. The memory's size is free up to the 4 GiB of a 32-bit WebAssembly memory. */
export function interpreterBytes(): Uint8Array<ArrayBuffer> {
  return emitInterpreter(x86InstructionSet, { min: 1, max: 65536 });
}

/** The numbers of its handlers. */
export function shippedNumbering(): Numbering {
  return enumerateNumbering();
}
