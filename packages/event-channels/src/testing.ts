import { SharedInfo, VcpuInfo } from '@xenolith/xen-abi';
import { EventChannels } from './event-channels.js';

const PAGE = 4096;
/** Pages of each guest: page 0 is its shared_info, the others are its memory. */
const GUEST_PAGES = 8;
/** gfn of a page that the guest may not lend (a page table of its). */
export const PAGE_TABLE = GUEST_PAGES - 1;

/** For tests: a host of domains 0 (native, privileged), 1 and 2 (guests of two vCPUs), with what it was asked to do. */
export function testHost(maxPort?: number) {
  const bytes = new Uint8Array(3 * GUEST_PAGES * PAGE);
  /** References that were taken of pages, by offset. */
  const held = new Map<number, number>();
  const calls: string[] = [];
  const host = {
    notify: (domid: number, vcpu: number) => void calls.push(`notify d${domid}v${vcpu}`),
    unblock: (domid: number, vcpu: number) => void calls.push(`unblock d${domid}v${vcpu}`),
    isPaused: (domid: number) => domid === 2,
  };
  const events = new EventChannels(host);
  const onEvent = (port: number) => void calls.push(`event d0:${port}`);
  events.addDomain({ domid: 0, vcpus: 1, privileged: true, delivery: { onEvent } });
  const page = (domid: number, gfn = 0) => (domid * GUEST_PAGES + gfn) * PAGE;
  const vcpuInfo = (domid: number, vcpu: number) => page(domid) + vcpu * VcpuInfo.size;
  for (const domid of [1, 2]) {
    const delivery = {
      bytes,
      sharedInfo: () => page(domid),
      vcpuInfo: (vcpu: number) => vcpuInfo(domid, vcpu),
      pages: {
        get(gfn: number) {
          if (!(gfn >= 0 && gfn < GUEST_PAGES) || gfn === PAGE_TABLE) return -1;
          held.set(page(domid, gfn), (held.get(page(domid, gfn)) ?? 0) + 1);
          return page(domid, gfn);
        },
        put(offset: number) {
          const left = (held.get(offset) ?? 0) - 1;
          if (left < 0) throw new Error(`page at ${offset} was not taken`);
          if (left === 0) held.delete(offset);
          else held.set(offset, left);
        },
      },
    };
    const limit = maxPort === undefined ? {} : { maxPort };
    events.addDomain({ domid, vcpus: 2, delivery, ...limit });
  }
  const bit = (base: number, n: number) => (bytes[base + (n >> 3)]! >> (n & 7)) & 1;
  const setBit = (base: number, n: number, value: number) => {
    const mask = 1 << (n & 7);
    bytes[base + (n >> 3)] = value ? bytes[base + (n >> 3)]! | mask : bytes[base + (n >> 3)]! & ~mask;
  };
  return {
    events,
    bytes,
    /** Offsets of the pages that are held, with the number of references. */
    held: () => new Map(held),
    page,
    /** What happened since the last call. */
    took: () => calls.splice(0),
    pending: (domid: number, port: number) => bit(page(domid) + SharedInfo.offset.evtchn_pending, port),
    mask: (domid: number, port: number, value: number) =>
      setBit(page(domid) + SharedInfo.offset.evtchn_mask, port, value),
    selected: (domid: number, vcpu: number, word: number) =>
      bit(vcpuInfo(domid, vcpu) + VcpuInfo.offset.evtchn_pending_sel, word),
    upcall: (domid: number, vcpu: number) =>
      bytes[vcpuInfo(domid, vcpu) + VcpuInfo.offset.evtchn_upcall_pending]!,
    /** What a guest's upcall handler does first: clears the flag, the selectors and the pending bits. */
    acknowledge: (domid: number, vcpu: number) => {
      const info = vcpuInfo(domid, vcpu);
      bytes[info + VcpuInfo.offset.evtchn_upcall_pending] = 0;
      bytes.fill(0, info + VcpuInfo.offset.evtchn_pending_sel, info + VcpuInfo.offset.evtchn_pending_sel + 8);
      const pending = page(domid) + SharedInfo.offset.evtchn_pending;
      bytes.fill(0, pending, pending + 512);
    },
  };
}
