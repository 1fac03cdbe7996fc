import { emitInterpreter } from '../core/interpreter.js';
import { buildHandlers } from './instances.js';

/**
 * The interpreter's module. Written at run time here; the published package replaces this file by the bytes that its
 * build wrote. The memory's size is free up to the 4 GiB of a 32-bit WebAssembly memory.
 */
export function interpreterBytes(): Uint8Array<ArrayBuffer> {
  return emitInterpreter({ build: buildHandlers }, { min: 1, max: 65536 });
}
