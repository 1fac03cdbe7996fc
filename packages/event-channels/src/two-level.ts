import { SharedInfo, VcpuInfo } from '@xenolith/xen-abi';
import type { Channel } from './channel.js';
import type { Delivery } from './delivery.js';
import { markEventsPending, type SharedPages, type Wakeups } from './shared-pages.js';

/**
 * The 2-level ABI (xen/common/event_2l.c; layout in xen/include/public/xen.h): a pending and a mask bit a port in
 * shared_info, a selector bit for each word of them in vcpu_info, and the upcall flag.
 *
 * ```
 * evtchn_pending[word] ──bit──▶ set unless already set, and if not masked:
 *   vcpu_info.evtchn_pending_sel bit `word` ──▶ vcpu_info.evtchn_upcall_pending ──▶ notify
 * ```
 */
export class TwoLevelDelivery implements Delivery {
  readonly limit: number;
  private readonly wordShift: number;

  /** @param wordBits 64 for a 64-bit guest (4,096 ports), 32 for a 32-bit one (1,024 ports) */
  constructor(
    private readonly domid: number,
    private readonly pages: SharedPages,
    private readonly wakeups: Wakeups,
    private readonly checkPollers: (port: number) => void,
    wordBits: 32 | 64 = 64,
  ) {
    this.limit = wordBits * wordBits;
    this.wordShift = wordBits === 64 ? 6 : 5;
  }

  setPending(channel: Channel, vcpu: number): void {
    const { port } = channel;
    if (this.testAndSet(this.pendingBase(), port)) return;
    if (!this.test(this.maskBase(), port)) this.select(vcpu, port);
    this.checkPollers(port);
  }

  clearPending(port: number): void {
    const { bytes } = this.pages;
    const at = this.pendingBase() + (port >> 3);
    bytes[at] = bytes[at]! & ~(1 << (port & 7));
  }

  unmask(channel: Channel): void {
    const { port, vcpu } = channel;
    const { bytes } = this.pages;
    const at = this.maskBase() + (port >> 3);
    const bit = 1 << (port & 7);
    if ((bytes[at]! & bit) === 0) return;
    bytes[at] = bytes[at]! & ~bit;
    if (this.test(this.pendingBase(), port)) this.select(vcpu, port);
  }

  isPending(port: number): boolean {
    return this.test(this.pendingBase(), port);
  }

  isMasked(port: number): boolean {
    return this.test(this.maskBase(), port);
  }

  private select(vcpu: number, port: number): void {
    const info = this.pages.vcpuInfo(vcpu);
    if (info < 0 || this.testAndSet(info + this.selectorOffset(), port >> this.wordShift)) return;
    markEventsPending(this.pages, this.wakeups, this.domid, vcpu);
  }

  /** 32-bit guests have a 4-byte selector after the same two flag bytes: at 4, not at 8. */
  private selectorOffset(): number {
    return this.wordShift === 6 ? VcpuInfo.offset.evtchn_pending_sel : 4;
  }

  private pendingBase(): number {
    return this.pages.sharedInfo() + SharedInfo.offset.evtchn_pending;
  }

  private maskBase(): number {
    const base = this.pages.sharedInfo();
    return this.wordShift === 6
      ? base + SharedInfo.offset.evtchn_mask
      : base + SharedInfo.offset.evtchn_pending + 128;
  }

  private test(base: number, bit: number): boolean {
    return (this.pages.bytes[base + (bit >> 3)]! & (1 << (bit & 7))) !== 0;
  }

  private testAndSet(base: number, bit: number): boolean {
    const { bytes } = this.pages;
    const at = base + (bit >> 3);
    const old = bytes[at]!;
    bytes[at] = old | (1 << (bit & 7));
    return (old & (1 << (bit & 7))) !== 0;
  }
}
