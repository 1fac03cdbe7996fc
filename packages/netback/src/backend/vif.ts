import type { Logger } from '@xenolith/host-interface';
import { adapted } from '../frame/adapted.js';
import type { Frame } from '../frame/frame.js';
import type { FrameHash } from '../frame/toeplitz.js';
import type { NetworkPort } from '../ports/network-port.js';
import type { Hashing } from './hashing.js';
import type { MulticastFilter } from './multicast-filter.js';
import type { FrontendFeatures } from './options.js';
import type { RateLimit } from './rate-limit.js';
import type { VifStatistics } from './statistics.js';

/** Hands frames to a guest. */
export interface FrameQueue {
  /** Takes a frame; `service` is to be called then. */
  add(frame: Frame, hash: FrameHash | undefined): void;
  service(): void;
  close(): void;
}

export interface VifOptions {
  name: string;
  port: NetworkPort;
  features: FrontendFeatures;
  hashing: Hashing;
  /** Only if the frontend asked for multicast control. */
  multicast: MulticastFilter | undefined;
  log: Logger;
  statistics: VifStatistics;
}

/** Lines of the log that one vif may fill with what its frontend does wrong. */
const MAX_COMPLAINTS = 10;

/** One connected vif: what its queues share. */
export class Vif {
  readonly rxQueues: FrameQueue[] = [];
  rate: RateLimit | undefined;

  constructor(readonly options: VifOptions) {}

  get statistics(): VifStatistics {
    return this.options.statistics;
  }

  /** The guest sends a frame. */
  transmit(frame: Frame): void {
    const { statistics, port } = this.options;
    statistics.txFrames++;
    statistics.txBytes += frame.data.length;
    port.send(frame);
  }

  /** The network has a frame for the guest. */
  receive(frame: Frame): void {
    const { multicast, hashing } = this.options;
    if (multicast && !multicast.passes(frame)) return;
    const { queue, hash } = hashing.choose(frame.data);
    for (const part of adapted(frame, this.options.features)) this.rxQueues[queue]!.add(part, hash);
    this.rxQueues[queue]!.service();
  }

  /** The frontend sent something that is none. */
  noteBad(problem: string): void {
    const count = ++this.statistics.txBad;
    if (count > MAX_COMPLAINTS) return;
    const last = count === MAX_COMPLAINTS ? ' (further ones are only counted)' : '';
    this.options.log.log('warn', 'netback', `${this.options.name}: ${problem}${last}.`);
  }
}
