import {
  EVTCHNSTAT_closed,
  EVTCHNSTAT_interdomain,
  EVTCHNSTAT_ipi,
  EVTCHNSTAT_unbound,
  EVTCHNSTAT_virq,
} from '@xenolith/xen-abi';
import { type Channel, PORT_STATE } from './channel.js';

/** What EVTCHNOP_status tells of a port; `status` is an `EVTCHNSTAT_*`. */
export interface PortStatus {
  status: number;
  /** The vCPU that is notified. */
  vcpu: number;
  /** unbound: who may bind; interdomain: the peer. */
  dom?: number;
  /** interdomain: the peer's port. */
  port?: number;
  virq?: number;
}

export function statusOf(channel: Channel): PortStatus {
  const { vcpu } = channel;
  switch (channel.state) {
    case PORT_STATE.unbound:
      return { status: EVTCHNSTAT_unbound, vcpu, dom: channel.remoteDomid };
    case PORT_STATE.interdomain:
      return { status: EVTCHNSTAT_interdomain, vcpu, dom: channel.remoteDomid, port: channel.remotePort };
    case PORT_STATE.virq:
      return { status: EVTCHNSTAT_virq, vcpu, virq: channel.virq };
    case PORT_STATE.ipi:
      return { status: EVTCHNSTAT_ipi, vcpu };
    default:
      return { status: EVTCHNSTAT_closed, vcpu };
  }
}
