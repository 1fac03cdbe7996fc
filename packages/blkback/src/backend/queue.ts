import type { Clock } from '@xenolith/guest-api';
import type { BackRing } from '@xenolith/shared-ring';
import {
  type Abi,
  BLKIF_OP_DISCARD,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_OP_WRITE_BARRIER,
  BLKIF_RSP_EOPNOTSUPP,
  BLKIF_RSP_ERROR,
  BLKIF_RSP_OKAY,
} from '@xenolith/xen-abi';
import { type BlockRequest, decodeRequest, encodeResponse } from '../codec/index.js';
import type { Disk } from './disk.js';
import type { GrantCache } from './grant-cache.js';
import { BadRequest, type Plan, planRequest } from './plan.js';

/** What one queue of a disk works with. */
export interface QueueOptions {
  disk: Disk;
  ring: BackRing;
  abi: Abi;
  grants: GrantCache;
  clock: Clock;
  /** Sends the event to the frontend. */
  notify(): void;
  /** Whether the ring's pages are still there. */
  live(): boolean;
  /** The frontend broke the ring's rules: it is served no longer. */
  onCorrupt(): void;
}

/**
 * One ring of a disk: takes requests, has the disk do them, and answers, in the order in which they are done. At most as
 * many are under way as the ring has slots, and as the disk has room for.
 */
export class BlockQueue {
  private closed = false;
  private writesUnderWay = 0;
  /** A barrier that waits for earlier writes, or is being done: nothing behind it begins. */
  private barrier: { request: BlockRequest; plan: Plan } | 'running' | undefined;

  private readonly again = (): void => this.service();

  constructor(private readonly options: QueueOptions) {}

  /** Does all there is to do; called on each event. */
  service(): void {
    const { ring } = this.options;
    if (this.closed || !this.options.live()) return;
    while (!this.barrier && this.options.disk.hasRoom(this.again)) {
      const slot = ring.take();
      if (slot) this.begin(decodeRequest(slot, this.options.abi));
      else if (!ring.finalCheck()) break;
    }
    this.push();
    if (ring.corrupt) {
      this.close();
      this.options.onCorrupt();
    }
  }

  /** Answers nothing any more; what is under way ends unseen. */
  close(): void {
    this.closed = true;
  }

  private begin(request: BlockRequest): void {
    const { disk, grants } = this.options;
    try {
      const plan = planRequest(request, disk.limits, (ref) =>
        grants.use(ref, true, (page) => page.read(0, 4096)),
      );
      if (plan.kind === 'barrier') {
        this.barrier = { request, plan };
        this.tryBarrier();
      } else this.run(request, plan);
    } catch (error) {
      this.refuse(request, error);
    }
  }

  private tryBarrier(): void {
    if (!this.barrier || this.barrier === 'running' || this.writesUnderWay > 0) return;
    const { request, plan } = this.barrier;
    this.barrier = 'running';
    try {
      this.run(request, plan);
    } catch (error) {
      this.refuse(request, error);
      this.barrier = undefined;
    }
  }

  private run(request: BlockRequest, plan: Plan): void {
    const { disk, clock } = this.options;
    const isWrite = plan.kind === 'write' || plan.kind === 'barrier';
    const data = isWrite ? this.gather(plan) : undefined;
    const result = disk.perform(plan, data);
    if (!(result instanceof Promise)) {
      this.finish(request, plan, result);
      return;
    }
    if (isWrite) this.writesUnderWay++;
    disk.begun(plan);
    clock.completion(result, disk.latencyNs(plan), (outcome) => {
      if (isWrite) this.writesUnderWay--;
      disk.ended(plan);
      if (this.closed || !this.options.live()) return;
      if (outcome.status === 'rejected') this.fail(request, plan, outcome.reason);
      else this.finish(request, plan, outcome.value);
      this.tryBarrier();
      this.service();
    });
  }

  /** The bytes of a write, each copied out of the guest once. */
  private gather(plan: Plan & { kind: 'write' | 'barrier' | 'read' }): Uint8Array {
    const { grants, disk } = this.options;
    const { sectorSize } = disk.limits;
    const data = new Uint8Array(plan.length);
    let at = 0;
    for (const { ref, first, last } of plan.segments) {
      const bytes = (last - first + 1) * sectorSize;
      grants.use(ref, true, (page) => page.readInto(first * sectorSize, data.subarray(at, at + bytes)));
      at += bytes;
    }
    return data;
  }

  private scatter(plan: Plan & { kind: 'read' | 'write' | 'barrier' }, data: Uint8Array): void {
    const { grants, disk } = this.options;
    const { sectorSize } = disk.limits;
    let at = 0;
    for (const { ref, first, last } of plan.segments) {
      const bytes = (last - first + 1) * sectorSize;
      grants.use(ref, false, (page) => page.write(first * sectorSize, data.subarray(at, at + bytes)));
      at += bytes;
    }
  }

  private finish(request: BlockRequest, plan: Plan, data: Uint8Array | undefined): void {
    try {
      if (plan.kind === 'read' && data) this.scatter(plan, data);
      this.answer(request, BLKIF_RSP_OKAY);
    } catch (error) {
      this.refuse(request, error);
    }
    if (plan.kind === 'barrier') this.barrier = undefined;
  }

  private fail(request: BlockRequest, plan: Plan, reason: unknown): void {
    this.refuse(request, reason);
    if (plan.kind === 'barrier') this.barrier = undefined;
  }

  private refuse(request: BlockRequest, error: unknown): void {
    this.options.disk.noteError(error);
    const unsupported = error instanceof BadRequest && error.unsupported;
    this.answer(request, unsupported ? BLKIF_RSP_EOPNOTSUPP : BLKIF_RSP_ERROR);
  }

  private answer(request: BlockRequest, status: number): void {
    const { ring, abi } = this.options;
    ring.put(encodeResponse({ id: request.id, operation: operationOf(request), status }, abi));
  }

  private push(): void {
    if (this.options.ring.push()) this.options.notify();
  }
}

const OPERATIONS = {
  read: BLKIF_OP_READ,
  write: BLKIF_OP_WRITE,
  barrier: BLKIF_OP_WRITE_BARRIER,
  flush: BLKIF_OP_FLUSH_DISKCACHE,
  discard: BLKIF_OP_DISCARD,
} as const;

function operationOf(request: BlockRequest): number {
  if (request.kind === 'unknown') return request.operation;
  // Linux answers an indirect request with the operation that was in it.
  if (request.kind === 'indirect') return request.operation;
  return OPERATIONS[request.kind];
}
