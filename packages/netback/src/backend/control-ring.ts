import type { BackRing } from '@xenolith/shared-ring';
import * as abi from '@xenolith/xen-abi';
import { type ControlRequest, decodeControlRequest, encodeControlResponse } from '../codec/index.js';
import { TOEPLITZ_KEY_BYTES } from '../frame/toeplitz.js';
import { ALL_HASH_TYPES, type Hashing } from './hashing.js';

/** As many as Linux's backend has. */
const MAX_MAPPING = 128;

export interface ControlRingOptions {
  ring: BackRing;
  hashing: Hashing;
  /** Bytes from the start of a granted page, or undefined if they cannot be had. */
  copyFrom(ref: number, length: number): Uint8Array | undefined;
  notify(): void;
  onCorrupt(): void;
}

interface Answer {
  status: number;
  data?: number;
}

const SUCCESS: Answer = { status: abi.XEN_NETIF_CTRL_STATUS_SUCCESS };
const INVALID: Answer = { status: abi.XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER };
const UNSUPPORTED: Answer = { status: abi.XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED };
const OVERFLOW: Answer = { status: abi.XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW };

/** The control ring: a frontend says how frames are to be spread over its queues. */
export class ControlRing {
  constructor(private readonly options: ControlRingOptions) {}

  service(): void {
    const { ring, notify, onCorrupt } = this.options;
    do {
      for (let slot = ring.take(); slot; slot = ring.take()) {
        const request = decodeControlRequest(slot);
        const { status, data = 0 } = this.answer(request);
        ring.put(encodeControlResponse({ id: request.id, type: request.type, status, data }));
      }
    } while (ring.finalCheck());
    if (ring.push()) notify();
    if (ring.corrupt) onCorrupt();
  }

  private answer({ type, data }: ControlRequest): Answer {
    const { hashing } = this.options;
    const [first = 0, second = 0, third = 0] = data;
    switch (type) {
      case abi.XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM:
        if (first > abi.XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ) return INVALID;
        hashing.algorithm = first;
        return SUCCESS;
      case abi.XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS:
        return hashing.isChosen ? { ...SUCCESS, data: ALL_HASH_TYPES } : UNSUPPORTED;
      case abi.XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS:
        if (!hashing.isChosen || (first & ~ALL_HASH_TYPES) !== 0) return INVALID;
        hashing.types = first;
        return SUCCESS;
      case abi.XEN_NETIF_CTRL_TYPE_SET_HASH_KEY:
        return this.setKey(first, second);
      case abi.XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE:
        return { ...SUCCESS, data: MAX_MAPPING };
      case abi.XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE:
        if (first > MAX_MAPPING) return INVALID;
        hashing.mapping = new Array<number>(first).fill(0);
        return SUCCESS;
      case abi.XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING:
        return this.setMapping(first, second, third);
      default:
        return UNSUPPORTED;
    }
  }

  private setKey(ref: number, length: number): Answer {
    if (length > TOEPLITZ_KEY_BYTES) return OVERFLOW;
    const bytes = this.options.copyFrom(ref, length);
    if (!bytes) return INVALID;
    const key = new Uint8Array(TOEPLITZ_KEY_BYTES);
    key.set(bytes);
    this.options.hashing.key = key;
    return SUCCESS;
  }

  private setMapping(ref: number, count: number, offset: number): Answer {
    const { hashing, copyFrom } = this.options;
    if (offset + count > hashing.mapping.length) return INVALID;
    const bytes = copyFrom(ref, count * 4);
    if (!bytes) return INVALID;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const queues = Array.from({ length: count }, (_, i) => view.getUint32(i * 4, true));
    if (queues.some((queue) => queue >= hashing.queues)) return INVALID;
    hashing.mapping.splice(offset, count, ...queues);
    return SUCCESS;
  }
}
