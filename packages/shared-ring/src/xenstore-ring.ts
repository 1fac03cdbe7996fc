import { XENSTORE_RING_SIZE, XenstoreDomainInterface } from '@xenolith/xen-abi';
import { ByteRing } from './byte-ring.js';
import type { RingMemory } from './ring-memory.js';

const { offset } = XenstoreDomainInterface;

/** The xenstore page of a domain (`struct xenstore_domain_interface`, io/xs_wire.h). */
export class XenstoreRing {
  /** From the domain. */
  readonly requests: ByteRing;
  /** To the domain: replies and watch events. */
  readonly responses: ByteRing;

  constructor(private readonly memory: RingMemory) {
    this.requests = new ByteRing(memory, {
      data: offset.req,
      size: XENSTORE_RING_SIZE,
      cons: offset.req_cons,
      prod: offset.req_prod,
    });
    this.responses = new ByteRing(memory, {
      data: offset.rsp,
      size: XENSTORE_RING_SIZE,
      cons: offset.rsp_cons,
      prod: offset.rsp_prod,
    });
  }

  /** `XENSTORE_SERVER_FEATURE_*` bits that the server offers. */
  get serverFeatures(): number {
    return this.memory.readU32(offset.server_features);
  }

  set serverFeatures(bits: number) {
    this.memory.writeU32(offset.server_features, bits);
  }

  /** `XENSTORE_CONNECTED`, or `XENSTORE_RECONNECT` when the ring is to be reset. */
  get connection(): number {
    return this.memory.readU32(offset.connection);
  }

  set connection(state: number) {
    this.memory.writeU32(offset.connection, state);
  }

  /** `XENSTORE_ERROR_*`: why the server has stopped serving this domain. */
  get error(): number {
    return this.memory.readU32(offset.error);
  }

  set error(code: number) {
    this.memory.writeU32(offset.error, code);
  }

  /** Empties both directions. */
  reset(): void {
    this.requests.reset();
    this.responses.reset();
  }
}
