import { InvariantError } from '@xenolith/host-interface';
import type { Instruction } from './decode.js';
import { shippedNumbering } from './interpreter-bytes.js';
import { type Form, fusedKey, type Micro, type Numbering, variantKey } from './variants.js';

/** The way from a decoded instruction to its handler. */
export interface Instances {
  micro: Record<Micro, number>;
  of(insn: Instruction, form: Form, near: boolean, stack: 8 | 4 | 2): number;
  /** The handler that executes `first` and a conditional branch `cc` behind it, if there is one. */
  fused(first: number, cc: number): number | undefined;
}

function pairs(flat: readonly number[]): Map<number, number> {
  const map = new Map<number, number>();
  for (let i = 0; i < flat.length; i += 2) map.set(flat[i]!, flat[i + 1]!);
  return map;
}

let instances: Instances | undefined;

/** Made once: it belongs to the one interpreter. */
export function x86Instances(): Instances {
  instances ??= fromNumbering(shippedNumbering());
  return instances;
}

function fromNumbering(numbering: Numbering): Instances {
  const handlers = pairs(numbering.handlers);
  const fused = pairs(numbering.fused);
  return {
    micro: numbering.micro,
    of(insn, form, near, stack) {
      const { options } = insn.encoded.row;
      // Near branches are listed under the stack's width, everything else under what prefixes and mode say.
      const size = options.force64 && stack !== 2 ? stack : insn.rawSize;
      const key = variantKey(insn.encoded.index, {
        size,
        form,
        cc: options.cc ? insn.opcode & 15 : 0,
        rep: options.rep ? insn.rep : '',
        near,
        stack,
      });
      const handler = handlers.get(key);
      if (handler === undefined)
        throw new InvariantError(`no handler for ${insn.encoded.row.name} (${form}, size ${size})`);
      return handler;
    },
    fused: (first, cc) => fused.get(fusedKey(first, cc)),
  };
}
