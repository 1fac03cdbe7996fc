import { EVTCHN_FIFO_PRIORITY_DEFAULT } from '@xenolith/xen-abi';

/** States of a port, as Xen's `ECS_*` (xen/include/xen/sched.h). PIRQs do not exist here: no domain owns hardware. */
export const PORT_STATE = { free: 0, reserved: 1, unbound: 2, interdomain: 3, virq: 5, ipi: 6 } as const;
export type PortState = (typeof PORT_STATE)[keyof typeof PORT_STATE];

/** One port of one domain. */
export class Channel {
  state: PortState = PORT_STATE.free;
  /** The vCPU that is notified; 0 whenever the port is free. */
  vcpu = 0;
  /** unbound: the domain that may bind; interdomain: the peer's domain. */
  remoteDomid = 0;
  /** interdomain: the peer's port. */
  remotePort = 0;
  virq = 0;

  // FIFO ABI.
  priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
  /** An event arrived before the port had a word. Stays set for good, as in Xen: a guest may get one event too many. */
  arrivedEarly = false;
  /** The queue in which it was last. */
  queuedVcpu = 0;
  queuedPriority = 0;

  constructor(readonly port: number) {}

  /** What events may be delivered to: neither free nor port 0. */
  get usable(): boolean {
    return this.state > PORT_STATE.reserved;
  }
}
