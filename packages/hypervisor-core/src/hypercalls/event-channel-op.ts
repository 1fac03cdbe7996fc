import {
  EFAULT,
  ENOSYS,
  EVTCHNOP_alloc_unbound,
  EVTCHNOP_bind_interdomain,
  EVTCHNOP_bind_ipi,
  EVTCHNOP_bind_pirq,
  EVTCHNOP_bind_vcpu,
  EVTCHNOP_bind_virq,
  EVTCHNOP_close,
  EVTCHNOP_expand_array,
  EVTCHNOP_init_control,
  EVTCHNOP_reset,
  EVTCHNOP_send,
  EVTCHNOP_set_priority,
  EVTCHNOP_status,
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
  type Layout,
} from '@xenolith/xen-abi';
import { type Call, s32, u64 } from './call.js';

type Accessed<F> = ReturnType<Layout<F>['at']>;

/** Copies the argument in, runs the operation, and copies the argument back out when `writesBack` and it succeeded. */
function withArgument<F>(
  { guest }: Call,
  layout: Layout<F>,
  arg: bigint,
  work: (request: Accessed<F>) => number,
  writesBack = false,
): number {
  const view = guest.read(arg, layout.size);
  if (!view) return -EFAULT;
  const rc = work(layout.at(view));
  if (rc < 0 || !writesBack) return rc;
  return guest.copyTo(arg, new Uint8Array(view.buffer)) ? rc : -EFAULT;
}

/** A port is stored by `store` and the call answers 0; an error is passed on. */
const portOr = (rc: number, store: (port: number) => void): number => {
  if (rc < 0) return rc;
  store(rc);
  return 0;
};

/** event_channel_op: the arguments of `EventChannels`, which has the rules. */
export function eventChannelOp(call: Call, command = s32(call, 0), arg = u64(call, 1)): number {
  const { domain, hv } = call;
  const { events } = hv;
  const self = domain.domid;
  switch (command) {
    case EVTCHNOP_alloc_unbound:
      return withArgument(
        call,
        EvtchnAllocUnbound,
        arg,
        (r) =>
          portOr(events.allocUnbound(self, r.dom, r.remote_dom), (port) => {
            r.port = port;
          }),
        true,
      );
    case EVTCHNOP_bind_interdomain:
      return withArgument(
        call,
        EvtchnBindInterdomain,
        arg,
        (r) =>
          portOr(events.bindInterdomain(self, r.remote_dom, r.remote_port), (port) => {
            r.local_port = port;
          }),
        true,
      );
    case EVTCHNOP_bind_virq:
      return withArgument(
        call,
        EvtchnBindVirq,
        arg,
        (r) =>
          portOr(events.bindVirq(self, r.virq, r.vcpu), (port) => {
            r.port = port;
          }),
        true,
      );
    case EVTCHNOP_bind_ipi:
      return withArgument(
        call,
        EvtchnBindIpi,
        arg,
        (r) =>
          portOr(events.bindIpi(self, r.vcpu), (port) => {
            r.port = port;
          }),
        true,
      );
    case EVTCHNOP_bind_pirq:
      return withArgument(call, EvtchnBindPirq, arg, (r) => events.bindPirq(self, r.pirq));
    case EVTCHNOP_close:
      return withArgument(call, EvtchnClose, arg, (r) => events.close(self, r.port));
    case EVTCHNOP_send:
      return withArgument(call, EvtchnSend, arg, (r) => events.send(self, r.port));
    case EVTCHNOP_status:
      return withArgument(call, EvtchnStatus, arg, (r) => status(call, r), true);
    case EVTCHNOP_bind_vcpu:
      return withArgument(call, EvtchnBindVcpu, arg, (r) => events.bindVcpu(self, r.port, r.vcpu));
    case EVTCHNOP_unmask:
      return withArgument(call, EvtchnUnmask, arg, (r) => events.unmask(self, r.port));
    case EVTCHNOP_reset:
      return withArgument(call, EvtchnReset, arg, (r) => events.reset(self, r.dom));
    case EVTCHNOP_init_control:
      return withArgument(call, EvtchnInitControl, arg, () => events.initControl());
    case EVTCHNOP_expand_array:
      return withArgument(call, EvtchnExpandArray, arg, () => events.expandArray());
    case EVTCHNOP_set_priority:
      return withArgument(call, EvtchnSetPriority, arg, (r) => events.setPriority(self, r.port));
    default:
      return -ENOSYS;
  }
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
export function eventChannelOpCompat(call: Call): number {
  const arg = u64(call, 0);
  const view = call.guest.read(arg, EvtchnOp.size);
  if (!view) return -EFAULT;
  const command = EvtchnOp.at(view).cmd;
  return command > EVTCHNOP_unmask ? -ENOSYS : eventChannelOp(call, command, arg + BigInt(EvtchnOp.offset.u));
}
