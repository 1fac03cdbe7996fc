import { ringSlots, SRING_RING_OFFSET, SringHeader } from '@xenolith/xen-abi';
import type { RingMemory } from './ring-memory.js';

export interface RequestRingOptions {
  /** Bytes of one slot: the larger of the request's and the response's size, padded as the C union is. */
  slotSize: number;
  /** Bytes of the whole ring; a page by default. */
  bytes?: number;
}

/** The indices and slots that both ends of a request/response ring share (`struct NAME_sring`, io/ring.h). */
export class SharedSlots {
  readonly count: number;
  private readonly slotSize: number;

  constructor(
    private readonly memory: RingMemory,
    options: RequestRingOptions,
  ) {
    this.slotSize = options.slotSize;
    this.count = ringSlots(options.bytes ?? 4096, options.slotSize);
    if (this.count === 0)
      throw new RangeError(`A slot of ${options.slotSize} bytes does not fit in the ring.`);
  }

  get(index: 'req_prod' | 'req_event' | 'rsp_prod' | 'rsp_event'): number {
    return this.memory.readU32(SringHeader.offset[index]);
  }

  set(index: 'req_prod' | 'req_event' | 'rsp_prod' | 'rsp_event', value: number): void {
    this.memory.writeU32(SringHeader.offset[index], value >>> 0);
  }

  /** A copy of the slot that the free-running `index` names. */
  read(index: number): Uint8Array {
    return this.memory.read(this.at(index), this.slotSize);
  }

  write(index: number, data: Uint8Array): void {
    if (data.length > this.slotSize)
      throw new RangeError(`${data.length} bytes exceed a slot of ${this.slotSize}.`);
    this.memory.write(this.at(index), data);
  }

  /** Zeroes what the frontend initialises (SHARED_RING_INIT). */
  init(): void {
    this.memory.write(0, new Uint8Array(SRING_RING_OFFSET));
    this.set('req_event', 1);
    this.set('rsp_event', 1);
  }

  /** Publishes a producer index. @returns whether the other end asked to be notified of an index in between */
  publish(side: 'req' | 'rsp', next: number): boolean {
    const old = this.get(`${side}_prod`);
    this.set(`${side}_prod`, next);
    return (next - this.get(`${side}_event`)) >>> 0 < (next - old) >>> 0;
  }

  private at(index: number): number {
    return SRING_RING_OFFSET + (index & (this.count - 1)) * this.slotSize;
  }
}
