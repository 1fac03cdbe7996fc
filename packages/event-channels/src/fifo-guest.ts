import {
  EVTCHN_FIFO_LINK_MASK,
  EVTCHN_FIFO_LINKED,
  EVTCHN_FIFO_MASKED,
  EVTCHN_FIFO_PENDING,
  EvtchnFifoControlBlock,
} from '@xenolith/xen-abi';
import type { testHost } from './testing.js';

export const PENDING = 2 ** EVTCHN_FIFO_PENDING;
export const MASKED = 2 ** EVTCHN_FIFO_MASKED;
export const LINKED = 2 ** EVTCHN_FIFO_LINKED;

/** gfns by which the guest of tests uses its pages: vCPU v's control block in page 1 + v, the array from page 3 on. */
export const BLOCK_PAGE = 1;
export const ARRAY_PAGE = 3;

const { offset: BLOCK } = EvtchnFifoControlBlock;
const WORDS = 1024;

/** For tests: what a guest's kernel does with the FIFO ABI's structures. */
export function fifoGuest(host: ReturnType<typeof testHost>, domid = 1) {
  const view = new DataView(host.bytes.buffer);
  const block = (vcpu: number) => host.page(domid, BLOCK_PAGE + vcpu) + 64;
  const word = (port: number) => host.page(domid, ARRAY_PAGE + Math.floor(port / WORDS)) + (port % WORDS) * 4;
  const guest = {
    /** Changes to the FIFO ABI, with `pages` pages of event words. */
    enter(pages = 1, vcpus = 2): number[] {
      return [
        ...Array.from({ length: vcpus }, (_, v) => host.events.initControl(domid, v, BLOCK_PAGE + v, 64)),
        ...Array.from({ length: pages }, (_, n) => host.events.expandArray(domid, ARRAY_PAGE + n)),
      ];
    },
    read: (port: number) => view.getUint32(word(port), true),
    write: (port: number, value: number) => view.setUint32(word(port), value, true),
    ready: (vcpu: number) => view.getUint32(block(vcpu) + BLOCK.ready, true),
    head: (vcpu: number, priority: number) => view.getUint32(block(vcpu) + BLOCK.head + priority * 4, true),
    mask: (port: number) => guest.write(port, guest.read(port) | MASKED),
    /** It is pending and not masked, and no vCPU knows. */
    isStuck: (port: number) => {
      const word = guest.read(port);
      return word >= PENDING && !(word & MASKED) && guest.ready(0) === 0 && guest.ready(1) === 0;
    },
    /** Takes all events of a vCPU, the most urgent queue first, as an upcall handler does; ports in that order. */
    handle(vcpu: number): number[] {
      host.acknowledge(domid, vcpu);
      const got: number[] = [];
      for (let ready = guest.ready(vcpu); ready !== 0; ready = guest.ready(vcpu)) {
        const priority = 31 - Math.clz32(ready & -ready);
        view.setUint32(block(vcpu) + BLOCK.ready, (ready & ~(1 << priority)) >>> 0, true);
        for (let port = guest.head(vcpu, priority); port !== 0; ) {
          const w = guest.read(port);
          guest.write(port, (w & ~(LINKED | EVTCHN_FIFO_LINK_MASK | PENDING)) >>> 0);
          // A masked event stays pending for its unmasking.
          if (w & MASKED) guest.write(port, (guest.read(port) | (w & PENDING)) >>> 0);
          else if (w & PENDING) got.push(port);
          port = w & EVTCHN_FIFO_LINK_MASK;
        }
      }
      return got;
    },
  };
  return guest;
}
