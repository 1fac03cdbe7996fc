import { XenconsInterface } from '@xenolith/xen-abi';
import { ByteRing } from './byte-ring.js';
import type { RingMemory } from './ring-memory.js';

const { offset } = XenconsInterface;

/** The PV console's page (`struct xencons_interface`, io/console.h); `input` goes to the domain. */
export class ConsoleRing {
  readonly input: ByteRing;
  readonly output: ByteRing;

  constructor(memory: RingMemory) {
    this.input = new ByteRing(memory, {
      data: offset.in,
      size: offset.out - offset.in,
      cons: offset.in_cons,
      prod: offset.in_prod,
    });
    this.output = new ByteRing(memory, {
      data: offset.out,
      size: offset.in_cons - offset.out,
      cons: offset.out_cons,
      prod: offset.out_prod,
    });
  }
}
