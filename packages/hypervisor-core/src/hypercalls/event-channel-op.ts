import {
  EBUSY,
  EFAULT,
  ENOSYS,
  EPERM,
  ERESTART,
  EVTCHN_FIFO_LINK_BITS,
  EVTCHNOP_reset_cont,
  EVTCHNOP_unmask,
  EvtchnAllocUnbound,
  EvtchnBindInterdomain,
  EvtchnBindIpi,
  EvtchnBindPirq,
  EvtchnBindVcpu,
  EvtchnBindVirq,
  EvtchnClose,
  EvtchnExpandArray,
  EvtchnInitControl,
  EvtchnOp,
  EvtchnReset,
  EvtchnSend,
  EvtchnSetPriority,
  EvtchnStatus,
  EvtchnUnmask,
} from '@xenolith/xen-abi';
import { type Accessed, Operations, preemptible, refusedAfter, taking, updating } from '../operations.js';
import { type Call, u64 } from './call.js';

/** A port is stored by `store` and the call answers 0; an error is passed on. */
const portOr = (rc: number, store: (port: number) => void): number => {
  if (rc < 0) return rc;
  store(rc);
  return 0;
};

const self = (call: Call): number => call.domain.domid;

/** event_channel_op: the arguments of `EventChannels`, which has the rules. */
export const EVENT_CHANNEL_OPERATIONS = new Operations<Call, 'EVTCHNOP_'>('EVTCHNOP_', {
  alloc_unbound: updating(EvtchnAllocUnbound, (call, r) =>
    portOr(call.hv.events.allocUnbound(self(call), r.dom, r.remote_dom), (port) => {
      r.port = port;
    }),
  ),
  bind_interdomain: updating(EvtchnBindInterdomain, (call, r) =>
    portOr(call.hv.events.bindInterdomain(self(call), r.remote_dom, r.remote_port), (port) => {
      r.local_port = port;
    }),
  ),
  bind_virq: updating(EvtchnBindVirq, (call, r) =>
    portOr(call.hv.events.bindVirq(self(call), r.virq, r.vcpu), (port) => {
      r.port = port;
    }),
  ),
  bind_ipi: updating(EvtchnBindIpi, (call, r) =>
    portOr(call.hv.events.bindIpi(self(call), r.vcpu), (port) => {
      r.port = port;
    }),
  ),
  bind_pirq: refusedAfter(
    EPERM,
    'domU',
    taking(EvtchnBindPirq, (call, r) => call.hv.events.bindPirq(self(call), r.pirq)),
  ),
  close: taking(EvtchnClose, (call, r) => call.hv.events.close(self(call), r.port)),
  send: taking(EvtchnSend, (call, r) => call.hv.events.send(self(call), r.port)),
  status: updating(EvtchnStatus, status),
  bind_vcpu: taking(EvtchnBindVcpu, (call, r) => call.hv.events.bindVcpu(self(call), r.port, r.vcpu)),
  unmask: taking(EvtchnUnmask, (call, r) => call.hv.events.unmask(self(call), r.port)),
  reset: preemptible(taking(EvtchnReset, (call, r, arg) => reset(call, r.dom, arg, false))),
  init_control: updating(EvtchnInitControl, (call, r) => {
    r.link_bits = EVTCHN_FIFO_LINK_BITS;
    return call.hv.events.initControl(self(call), r.vcpu, Number(r.control_gfn), r.offset);
  }),
  expand_array: taking(EvtchnExpandArray, (call, r) =>
    call.hv.events.expandArray(self(call), Number(r.array_gfn)),
  ),
  set_priority: taking(EvtchnSetPriority, (call, r) =>
    call.hv.events.setPriority(self(call), r.port, r.priority),
  ),
  // Xen's own, for a reset that goes on; a guest that makes it finds none to go on with.
  reset_cont: refusedAfter(
    EBUSY,
    'domU',
    taking(EvtchnReset, (call, r, arg) => reset(call, r.dom, arg, true)),
  ),
});

function reset({ hv, domain }: Call, dom: number, arg: bigint, resuming: boolean): number {
  const rc = hv.events.reset(domain.domid, dom, resuming);
  return rc === -ERESTART ? hv.memory.continueWith([BigInt(EVTCHNOP_reset_cont), arg]) : rc;
}

function status({ domain, hv }: Call, request: Accessed<(typeof EvtchnStatus)['fields']>): number {
  const found = hv.events.status(domain.domid, request.dom, request.port);
  if (typeof found === 'number') return found;
  request.status = found.status;
  request.vcpu = found.vcpu;
  if (found.virq !== undefined) request.u.virq = found.virq;
  else if (found.port !== undefined) {
    request.u.interdomain.dom = found.dom ?? 0;
    request.u.interdomain.port = found.port;
  } else if (found.dom !== undefined) request.u.unbound.dom = found.dom;
  return 0;
}

/** The old form: one struct with the command first. */
export function eventChannelOpCompat(call: Call): number | bigint {
  const arg = u64(call, 0);
  const view = call.guest.read(arg, EvtchnOp.size);
  if (!view) return -EFAULT;
  const command = EvtchnOp.at(view).cmd;
  if (command > EVTCHNOP_unmask) return -ENOSYS;
  return EVENT_CHANNEL_OPERATIONS.make(command, call, arg + BigInt(EvtchnOp.offset.u));
}
