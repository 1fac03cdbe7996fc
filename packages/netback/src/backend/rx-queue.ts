import type { Clock } from '@xenolith/guest-api';
import type { BackRing } from '@xenolith/shared-ring';
import {
  NETIF_RSP_ERROR,
  NETRXF_csum_blank,
  NETRXF_data_validated,
  NETRXF_extra_info,
  NETRXF_more_data,
  XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ,
  XEN_NETIF_GSO_TYPE_TCPV4,
  XEN_NETIF_GSO_TYPE_TCPV6,
} from '@xenolith/xen-abi';
import {
  decodeRxRequest,
  type ExtraInfo,
  encodeExtra,
  encodeRxResponse,
  type RxRequest,
} from '../codec/index.js';
import type { Frame } from '../frame/frame.js';
import type { FrameHash } from '../frame/toeplitz.js';
import type { FrontendMemory } from './frontend-memory.js';
import type { FrameQueue, Vif } from './vif.js';

const PAGE = 4096;
/** A frame that has waited for so long is of no use to anybody: ten seconds, as in Linux's backend. */
const TOO_OLD_NS = 10e9;

export interface RxQueueOptions {
  vif: Vif;
  ring: BackRing;
  memory: FrontendMemory;
  clock: Clock;
  /** Bytes that may wait for pages; a frame counts for 256 more than it has. */
  maxWaitingBytes: number;
  notify(): void;
  /** Whether the ring's page is still there. */
  live(): boolean;
  /** The frontend broke the ring's rules: it is served no longer. */
  onCorrupt(problem: string): void;
}

interface Waiting {
  frame: Frame;
  extras: ExtraInfo[];
  since: number;
}

/** A ring by which a guest receives: frames wait until it offers pages for them. */
export class RxQueue implements FrameQueue {
  private closed = false;
  private readonly waiting: Waiting[] = [];
  private waitingBytes = 0;
  /** Requests that have been taken and not used: responses go into the slots of their requests, in order. */
  private readonly offered: RxRequest[] = [];

  constructor(private readonly options: RxQueueOptions) {}

  add(frame: Frame, hash: FrameHash | undefined): void {
    const { vif, maxWaitingBytes, clock } = this.options;
    const fits = frame.data.length <= PAGE || vif.options.features.scatterGather;
    if (this.closed || !fits || this.waitingBytes + costOf(frame) > maxWaitingBytes) {
      vif.statistics.rxDropped++;
      return;
    }
    this.waiting.push({ frame, extras: extrasOf(frame, hash), since: clock.now() });
    this.waitingBytes += costOf(frame);
  }

  /** Hands over what there is room for; called on each event. */
  service(): void {
    const { ring, live, notify, onCorrupt, vif } = this.options;
    if (this.closed || !live()) return;
    this.dropOld();
    for (let next = this.waiting[0]; next && this.collect(slotsFor(next)); next = this.waiting[0]) {
      this.next();
      this.deliver(next);
    }
    // Nobody would tell when there is room.
    if (!vif.options.features.rxNotify) while (this.next()) vif.statistics.rxDropped++;
    if (ring.push()) notify();
    if (!ring.corrupt) return;
    this.close();
    onCorrupt('the indices of a ring are impossible');
  }

  close(): void {
    this.closed = true;
    while (this.next());
  }

  private next(): Waiting | undefined {
    const next = this.waiting.shift();
    if (next) this.waitingBytes -= costOf(next.frame);
    return next;
  }

  /** Has `count` requests ready. @returns false if there are not so many yet; then an event comes with the next */
  private collect(count: number): boolean {
    const { ring } = this.options;
    while (this.offered.length < count) {
      const slot = ring.take();
      if (slot) this.offered.push(decodeRxRequest(slot));
      else if (!ring.finalCheck()) return false;
    }
    return true;
  }

  private deliver({ frame: { data, checksum }, extras }: Waiting): void {
    const { ring, memory, vif } = this.options;
    const pieces = Math.ceil(data.length / PAGE);
    for (let i = 0; i < pieces; i++) {
      const piece = data.subarray(i * PAGE, (i + 1) * PAGE);
      const { id, ref } = this.offered.shift()!;
      let flags = i < pieces - 1 ? NETRXF_more_data : 0;
      if (i === 0) {
        if (checksum) flags |= NETRXF_data_validated;
        if (checksum === 'blank') flags |= NETRXF_csum_blank;
        if (extras.length > 0) flags |= NETRXF_extra_info;
      }
      const status = memory.write(ref, piece) ? piece.length : NETIF_RSP_ERROR;
      ring.put(encodeRxResponse({ id, offset: 0, flags, status }));
      if (i > 0) continue;
      for (const [n, extra] of extras.entries()) {
        this.offered.shift();
        ring.put(encodeExtra(extra, n < extras.length - 1));
      }
    }
    vif.statistics.rxFrames++;
    vif.statistics.rxBytes += data.length;
  }

  private dropOld(): void {
    const { clock, vif } = this.options;
    const limit = clock.now() - TOO_OLD_NS;
    while (this.waiting.length > 0 && this.waiting[0]!.since < limit) {
      this.next();
      vif.statistics.rxDropped++;
    }
  }
}

const costOf = ({ data }: Frame): number => data.length + 256;

const slotsFor = ({ frame, extras }: Waiting): number => Math.ceil(frame.data.length / PAGE) + extras.length;

const GSO_TYPES = { tcp4: XEN_NETIF_GSO_TYPE_TCPV4, tcp6: XEN_NETIF_GSO_TYPE_TCPV6 };

function extrasOf({ segmentation }: Frame, hash: FrameHash | undefined): ExtraInfo[] {
  const extras: ExtraInfo[] = [];
  if (segmentation)
    extras.push({ kind: 'gso', size: segmentation.size, type: GSO_TYPES[segmentation.protocol] });
  if (hash) extras.push({ kind: 'hash', algorithm: XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ, ...hash });
  return extras;
}
