import {
  DOMID_SELF,
  EFAULT,
  EINVAL,
  EOPNOTSUPP,
  EPERM,
  ESRCH,
  XenHvmEvtchnUpcallVector,
  XenHvmGetMemType,
  XenHvmGetTime,
  XenHvmPagetableDying,
  XenHvmParam,
  XenHvmXentrace,
} from '@xenolith/xen-abi';
import { Operations, plain, refused, refusedAfter, taking } from '../operations.js';
import type { Call } from './call.js';

/** Event numbers of a guest's own trace records (xen/include/public/trace.h: below 1 << TRC_SUBCLS_SHIFT). */
const TRACE_EVENTS = 1 << 12;
const TRACE_BYTES = 28;

const isSelf = ({ domain }: Call, domid: number): boolean => domid === DOMID_SELF || domid === domain.domid;

/** Not of an HVM domain; `other`: for another domain. */
const notHvm =
  (other: number) =>
  (call: Call, { domid }: { domid: number }): number => {
    if (isSelf(call, domid)) return -EINVAL;
    return call.hv.exists(domid) ? -other : -ESRCH;
  };

/** hvm_op of a PV domain: of all that an HVM domain has, only what does not touch one works. */
export const HVM_OPERATIONS = new Operations<Call, 'HVMOP_'>('HVMOP_', {
  set_param: refusedAfter(EINVAL, 'domU', taking(XenHvmParam, notHvm(EINVAL))),
  get_param: refusedAfter(EINVAL, 'domU', taking(XenHvmParam, notHvm(EINVAL))),
  flush_tlbs: refused(EINVAL, 'domU'),
  pagetable_dying: refusedAfter(EINVAL, 'domU', taking(XenHvmPagetableDying, notHvm(EOPNOTSUPP))),
  get_time: plain(
    ({ guest, hv }, arg) => (guest.writeU64(arg, BigInt(hv.clock.now)) ? 0 : -EFAULT),
    XenHvmGetTime,
  ),
  xentrace: taking(XenHvmXentrace, (_, { event, extra_bytes: bytes }) =>
    bytes > TRACE_BYTES || event >= TRACE_EVENTS ? -EINVAL : 0,
  ),
  get_mem_type: refusedAfter(EINVAL, 'domU', taking(XenHvmGetMemType, notHvm(EPERM))),
  set_evtchn_upcall_vector: refusedAfter(
    EINVAL,
    'domU',
    plain(() => -EINVAL, XenHvmEvtchnUpcallVector),
  ),
  // Nobody monitors the guest.
  guest_request_vm_event: plain((_, arg) => (arg === 0n ? 0 : -EINVAL)),
  altp2m: refused(EOPNOTSUPP, 'everybody'),
});
