import { DOMID_SELF, EACCES, EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from '@xenolith/xen-abi';
import { type Call, type Handler, s32, u32, u64 } from './call.js';

/** platform_op, sysctl and domctl look at their interface version (the second word) before they look at the caller. */
export const controlOp =
  (version: number): Handler =>
  ({ args, guest }) => {
    const header = guest.read(args[0]!, 8);
    if (!header) return -EFAULT;
    return header.getUint32(4, true) === version ? -EPERM : -EACCES;
  };

const HVMOP_SET_PARAM = 0;
const HVMOP_GET_PARAM = 1;
const HVMOP_PAGETABLE_DYING = 9;

/** hvm_op on PV domains: parameters are for HVM domains. */
export function hvmOp(call: Call): number {
  const command = u32(call, 0);
  if (command !== HVMOP_SET_PARAM && command !== HVMOP_GET_PARAM && command !== HVMOP_PAGETABLE_DYING)
    return -ENOSYS;
  const header = call.guest.read(u64(call, 1), 2);
  if (!header) return -EFAULT;
  const domid = header.getUint16(0, true);
  return domid === DOMID_SELF || call.hv.exists(domid) ? -EINVAL : -ESRCH;
}

/** dm_op is for device models of other domains, and only of HVM ones. */
export function dmOp(call: Call): number {
  const domid = s32(call, 0) & 0xffff;
  if (domid === DOMID_SELF || domid === call.domain.domid) return -EPERM;
  return call.hv.exists(domid) ? -EINVAL : -ESRCH;
}
