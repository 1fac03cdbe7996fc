import {
  EINVAL,
  ENOSPC,
  EVTCHN_FIFO_BUSY,
  EVTCHN_FIFO_LINK_MASK,
  EVTCHN_FIFO_LINKED,
  EVTCHN_FIFO_MASKED,
  EVTCHN_FIFO_MAX_QUEUES,
  EVTCHN_FIFO_NR_CHANNELS,
  EVTCHN_FIFO_PENDING,
  EvtchnFifoControlBlock,
} from '@xenolith/xen-abi';
import type { Channel } from './channel.js';
import type { Delivery } from './delivery.js';
import { type GuestPages, markEventsPending, type SharedPages, type Wakeups } from './shared-pages.js';

const PAGE_SIZE = 4096;
const WORDS_PER_PAGE = PAGE_SIZE / 4;
const MAX_ARRAY_PAGES = EVTCHN_FIFO_NR_CHANNELS / WORDS_PER_PAGE;

const PENDING = 1 << EVTCHN_FIFO_PENDING;
const MASKED = 1 << EVTCHN_FIFO_MASKED;
const LINKED = 1 << EVTCHN_FIFO_LINKED;
const BUSY = 1 << EVTCHN_FIFO_BUSY;

const { offset: BLOCK, size: BLOCK_SIZE } = EvtchnFifoControlBlock;

/** Where a vCPU takes its events from. */
interface Queues {
  /** Offset of its control block, −1 none. */
  block: number;
  /** Last port of the queue of each priority, 0 none; we alone keep it, so that a guest cannot lead us astray. */
  readonly tails: Uint32Array;
}

/**
 * The FIFO ABI (xen/common/event_fifo.c; layout and bits in xen/include/public/event_channel.h): a word for each port,
 * in array pages that the guest lends, and for each vCPU a control block with the heads of 16 queues, the most urgent
 * first.
 *
 * ```
 * control block    ready ·· bit for each queue with something in it
 *                  head[p] ──▶ word ──link──▶ word ──link──▶ word ◀── tail (ours)
 * event word       PENDING 31 │ MASKED 30 │ LINKED 29 │ BUSY 28 │ ······ │ LINK 16…0
 * ```
 *
 * An event sets PENDING and, unless MASKED or LINKED already, is appended: behind the tail if that is still LINKED, else
 * as the new head. The guest takes words from the head and clears LINKED. Guests do not run while we are in here, so a
 * word is read once and written once, and BUSY, by which Xen holds off a guest's unmasking meanwhile, is never seen set.
 */
export class FifoDelivery implements Delivery {
  readonly limit = EVTCHN_FIFO_NR_CHANNELS;
  private readonly view: DataView;
  private readonly array: number[] = [];
  private readonly vcpus: Queues[];

  /** @param pages that of `shared`, which is there */
  constructor(
    private readonly domid: number,
    vcpus: number,
    private readonly shared: SharedPages,
    private readonly pages: GuestPages,
    private readonly wakeups: Wakeups,
    private readonly checkPollers: (port: number) => void,
  ) {
    const { buffer, byteOffset, byteLength } = shared.bytes;
    this.view = new DataView(buffer, byteOffset, byteLength);
    this.vcpus = Array.from({ length: vcpus }, () => ({
      block: -1,
      tails: new Uint32Array(EVTCHN_FIFO_MAX_QUEUES),
    }));
  }

  /** @param offset of the block in its page, checked by `isBlockOffset` */
  mapControlBlock(vcpu: number, gfn: number, offset: number): number {
    const queues = this.vcpus[vcpu]!;
    if (queues.block >= 0) return -EINVAL;
    const page = this.pages.get(gfn);
    if (page < 0) return -EINVAL;
    queues.block = page + offset;
    return 0;
  }

  /** Adds a page to the array, and sends what arrived for its ports before they had words. */
  expand(gfn: number, ports: readonly Channel[]): number {
    if (this.array.length >= MAX_ARRAY_PAGES) return -ENOSPC;
    const page = this.pages.get(gfn);
    if (page < 0) return -EINVAL;
    const first = this.array.length * WORDS_PER_PAGE;
    this.array.push(page);
    for (let port = first; port < first + WORDS_PER_PAGE && port < ports.length; port++) {
      const channel = ports[port]!;
      if (channel.arrivedEarly) this.setPending(channel, channel.vcpu);
    }
    return 0;
  }

  /** Gives all pages back. */
  release(): void {
    for (const offset of this.held()) this.pages.put(offset);
    this.array.length = 0;
    for (const queues of this.vcpus) queues.block = -1;
  }

  /** Offsets of the pages in use, one for each reference. */
  *held(): Generator<number> {
    yield* this.array;
    for (const { block } of this.vcpus) if (block >= 0) yield block - (block % PAGE_SIZE);
  }

  setPending(channel: Channel, vcpu: number): void {
    const at = this.wordOf(channel.port);
    if (at < 0) {
      channel.arrivedEarly = true;
      return;
    }
    // Dropped: a guest has to give a vCPU its block before it binds anything there.
    if (this.vcpus[vcpu]!.block < 0) return;
    const word = this.read(at);
    const joins = (word & (MASKED | LINKED)) === 0;
    this.write(at, word | PENDING | (joins ? LINKED : 0));
    if (joins) this.append(channel, vcpu);
    if ((word & PENDING) === 0) this.checkPollers(channel.port);
  }

  /** The guest unlinks the word when it comes to it. */
  clearPending(port: number): void {
    const at = this.wordOf(port);
    if (at >= 0) this.write(at, this.read(at) & ~PENDING);
  }

  unmask(channel: Channel): void {
    const at = this.wordOf(channel.port);
    if (at < 0) return;
    const word = this.read(at) & ~MASKED;
    this.write(at, word);
    if (word & PENDING) this.setPending(channel, channel.vcpu);
  }

  isPending(port: number): boolean {
    return this.has(port, PENDING);
  }

  isMasked(port: number): boolean {
    return this.wordOf(port) < 0 || this.has(port, MASKED);
  }

  isBusy(port: number): boolean {
    return this.has(port, LINKED);
  }

  /** For `checkInvariants`. */
  problems(): string[] {
    const words = this.array.length * WORDS_PER_PAGE;
    return this.vcpus.flatMap(({ block, tails }, vcpu) => [
      ...(block >= 0 && !isBlockOffset(block % PAGE_SIZE) ? [`vCPU ${vcpu} has its block at ${block}`] : []),
      ...(tails.some((tail) => tail > 0 && (tail >= words || block < 0))
        ? [`vCPU ${vcpu} has tails ${tails} of ${words} words`]
        : []),
    ]);
  }

  /** Puts a port, whose word is LINKED already, at the end of its queue. */
  private append(channel: Channel, vcpu: number): void {
    const { port, priority } = channel;
    const { block, tails } = this.vcpus[vcpu]!;
    // It was the last of the queue where it was before, which is empty now: nothing may be linked behind it there.
    const before = this.vcpus[channel.queuedVcpu]!.tails;
    if (before[channel.queuedPriority] === port) before[channel.queuedPriority] = 0;
    channel.queuedVcpu = vcpu;
    channel.queuedPriority = priority;

    const tail = tails[priority]!;
    tails[priority] = port;
    if (tail !== 0 && this.link(tail, port)) return;
    this.write(block + BLOCK.head + priority * 4, port);
    const ready = this.read(block + BLOCK.ready);
    if (ready & (1 << priority)) return;
    this.write(block + BLOCK.ready, ready | (1 << priority));
    markEventsPending(this.shared, this.wakeups, this.domid, vcpu);
  }

  /** Links `port` behind `tail`, unless the guest has taken that out of the queue. */
  private link(tail: number, port: number): boolean {
    const at = this.wordOf(tail);
    const word = this.read(at);
    if ((word & LINKED) === 0) return false;
    this.write(at, (word & ~(BUSY | EVTCHN_FIFO_LINK_MASK)) | port);
    return true;
  }

  private has(port: number, bit: number): boolean {
    const at = this.wordOf(port);
    return at >= 0 && (this.read(at) & bit) !== 0;
  }

  /** Offset of a port's word, −1 if the array does not reach so far. */
  private wordOf(port: number): number {
    const page = this.array[Math.floor(port / WORDS_PER_PAGE)];
    return page === undefined ? -1 : page + (port % WORDS_PER_PAGE) * 4;
  }

  private read(at: number): number {
    return this.view.getInt32(at, true);
  }

  private write(at: number, value: number): void {
    this.view.setInt32(at, value, true);
    this.pages.wrote?.(at, 4);
  }
}

/** Whether a control block may lie there: within its page, and at a multiple of 8. */
export const isBlockOffset = (offset: number): boolean =>
  offset <= PAGE_SIZE - BLOCK_SIZE && offset % 8 === 0;
