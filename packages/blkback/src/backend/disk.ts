import type { Logger } from '@xenolith/host-interface';
import type { Awaitable, BlockDevice } from '../devices/block-device.js';
import type { Limits, Plan } from './plan.js';

/** What a disk has done so far; names as in Linux's xen-blkback statistics. */
export interface DiskStatistics {
  reads: number;
  writes: number;
  flushes: number;
  discards: number;
  /** Bytes. */
  bytesRead: number;
  bytesWritten: number;
  errors: number;
}

/** Settings of a disk that do not change while it is connected. */
export interface DiskOptions {
  name: string;
  readonly: boolean;
  sectorSize: number;
  maxIndirectSegments: number;
  /** System time that any request takes at least, in nanoseconds, under a virtual clock. */
  latencyNs: number;
  log: Logger;
}

/** Lines of the log that one disk may fill with what its frontend does wrong. */
const MAX_COMPLAINTS = 10;

/** Bytes of requests that one disk does at a time: so much memory a frontend can take with requests to a slow device. */
const MAX_UNDER_WAY = 16 << 20;

/** One disk: does what requests ask for, on the device behind it. Without a device it is an empty drive. */
export class Disk {
  readonly statistics: DiskStatistics = {
    reads: 0,
    writes: 0,
    flushes: 0,
    discards: 0,
    bytesRead: 0,
    bytesWritten: 0,
    errors: 0,
  };

  private underWay = 0;
  private readonly waiting = new Set<() => void>();

  constructor(
    private readonly options: DiskOptions,
    public device: BlockDevice | undefined,
  ) {}

  get limits(): Limits {
    const { device } = this;
    const { sectorSize, maxIndirectSegments } = this.options;
    return {
      size: device?.size ?? 0,
      sectorSize,
      readonly: this.readonly,
      canDiscard: device?.discard !== undefined,
      maxIndirectSegments,
    };
  }

  get readonly(): boolean {
    return this.options.readonly || (this.device?.readonly ?? true);
  }

  /** Sectors as the frontend counts them. */
  get sectors(): number {
    return Math.floor((this.device?.size ?? 0) / this.options.sectorSize);
  }

  /** What a request takes: the fixed part, and a nanosecond for two bytes, as a fast local disk. */
  latencyNs(plan: Plan): number {
    return this.options.latencyNs + bytesOf(plan) / 2;
  }

  /** @param data of writes @returns the bytes of a read */
  perform(plan: Plan, data?: Uint8Array): Awaitable<Uint8Array | undefined> {
    const { device, statistics } = this;
    if (!device) throw new Error('the drive is empty');
    switch (plan.kind) {
      case 'read':
        statistics.reads++;
        statistics.bytesRead += plan.length;
        return device.read(plan.offset, plan.length);
      case 'write':
        statistics.writes++;
        statistics.bytesWritten += plan.length;
        return settled(device.write(plan.offset, data!));
      case 'barrier':
        statistics.writes++;
        statistics.bytesWritten += plan.length;
        return this.barrier(device, plan.offset, data!);
      case 'flush':
        statistics.flushes++;
        return settled(device.flush());
      case 'discard':
        statistics.discards++;
        return settled(plan.length > 0 ? device.discard!(plan.offset, plan.length) : undefined);
    }
  }

  /** Whether another request may begin. If not, `again` is called when it may. */
  hasRoom(again: () => void): boolean {
    if (this.underWay < MAX_UNDER_WAY) return true;
    this.waiting.add(again);
    return false;
  }

  /** A request that takes its time has begun. */
  begun(plan: Plan): void {
    this.underWay += bytesOf(plan);
  }

  ended(plan: Plan): void {
    this.underWay -= bytesOf(plan);
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const again of waiting) again();
  }

  /** A request failed, or was refused. */
  noteError(error: unknown): void {
    const { log, name } = this.options;
    const count = ++this.statistics.errors;
    if (count > MAX_COMPLAINTS) return;
    const last = count === MAX_COMPLAINTS ? ' (further ones are only counted)' : '';
    log.log('warn', 'blkback', `${name}: ${error instanceof Error ? error.message : String(error)}${last}.`);
  }

  private async barrier(device: BlockDevice, offset: number, data: Uint8Array): Promise<undefined> {
    await device.flush();
    if (data.length > 0) await device.write(offset, data);
    await device.flush();
  }
}

/** What is moved. */
const bytesOf = (plan: Plan): number => (plan.kind === 'flush' || plan.kind === 'discard' ? 0 : plan.length);

const settled = (result: Awaitable<void>): Awaitable<undefined> =>
  result instanceof Promise ? result.then(() => undefined) : undefined;
