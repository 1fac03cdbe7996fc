import {
  DOMID_FIRST_RESERVED,
  DOMID_INVALID,
  DOMID_IO,
  E2BIG,
  EACCES,
  EFAULT,
  EINVAL,
  ENODATA,
  ENODEV,
  EOPNOTSUPP,
  EPERM,
  ESRCH,
} from '@xenolith/xen-abi';
import { type Call, type Handler, s32, u32, u64 } from './call.js';

/** Bytes of the structures that platform_op and sysctl take, and domctl: a header and 128 bytes of operands. */
const CONTROL_SIZE = 136;
const DOMCTL_SIZE = 144;

/** platform_op and sysctl look at their interface version (the second word) before they look at the caller. */
export const controlOp =
  (version: number): Handler =>
  ({ args, guest }) => {
    const request = guest.read(args[0]!, CONTROL_SIZE);
    if (!request) return -EFAULT;
    return request.getUint32(4, true) === version ? -EPERM : -EACCES;
  };

/** XEN_DOMCTL_INTERFACE_VERSION and the numbers of those operations that look for their domain in another way (domctl.h). */
const DOMCTL_VERSION = 0x15;
const CREATEDOMAIN = 1;
const GETDOMAININFO = 5;
const SHADOW_OP = 10;
const ASSIGN_DEVICE = 37;
const TEST_ASSIGN_DEVICE = 45;
const DEASSIGN_DEVICE = 47;

/** A request of domctl: copied in, and whether its version is right. */
function domctlRequest({ guest, args }: Call): { cmd: number; isRight: boolean; domid: number } | undefined {
  const view = guest.read(args[0]!, DOMCTL_SIZE);
  return (
    view && {
      cmd: view.getUint32(0, true),
      isRight: view.getUint32(4, true) === DOMCTL_VERSION,
      domid: view.getUint16(8, true),
    }
  );
}

/** domctl looks at its version and for its domain before it looks at the caller. */
export function domctl(call: Call): number {
  const request = domctlRequest(call);
  if (!request) return -EFAULT;
  const { cmd, isRight, domid } = request;
  if (!isRight) return -EACCES;
  const { hv } = call;
  switch (cmd) {
    case CREATEDOMAIN:
      return -EPERM;
    case GETDOMAININFO:
      if (hv.exists(domid)) return -EPERM;
      if (domid >= DOMID_FIRST_RESERVED) return -EINVAL;
      // It is about the next domain that exists.
      return [...hv.domains.keys(), ...hv.natives.keys()].some((id) => id > domid) ? -EPERM : -ESRCH;
    case ASSIGN_DEVICE:
    case DEASSIGN_DEVICE:
      return domid === DOMID_IO || hv.exists(domid) ? -EPERM : -ESRCH;
    case TEST_ASSIGN_DEVICE:
      return domid === DOMID_INVALID || hv.exists(domid) ? -EPERM : -ESRCH;
    default:
      return hv.exists(domid) ? -EPERM : -ESRCH;
  }
}

/** How domctl continues a shadow_op; nothing else may be asked for by it. */
export function pagingDomctlCont(call: Call): number {
  const request = domctlRequest(call);
  if (!request) return -EFAULT;
  if (!request.isRight || request.cmd !== SHADOW_OP) return -EOPNOTSUPP;
  return call.hv.exists(request.domid) ? -EPERM : -ESRCH;
}

const DM_OP_BUFFERS = 3;
const DM_OP_BUF_SIZE = 16;

/** dm_op is for device models of other domains, and only of HVM ones. */
export function dmOp(call: Call): number {
  const domid = s32(call, 0) & 0xffff;
  const count = u32(call, 1);
  if (count === 0) return -ENODATA;
  if (count > DM_OP_BUFFERS) return -E2BIG;
  if (!call.guest.read(u64(call, 2), count * DM_OP_BUF_SIZE)) return -EFAULT;
  if (domid === call.domain.domid) return -EPERM;
  return call.hv.exists(domid) ? -EINVAL : -ESRCH;
}

/** xenoprof.h: bytes of struct xenoprof_init, and the operations that are not the primary profiler's alone. */
const XENOPROF_INIT_SIZE = 72;
const XENOPROF_init = 0;
const XENOPROF_last_op = 17;

/** xenoprof on a processor whose counters it does not know. */
export function xenoprofOp(call: Call): number {
  const op = s32(call, 0);
  if (op < 0 || op > XENOPROF_last_op) return -EINVAL;
  if (op !== XENOPROF_init) return -EPERM;
  return call.guest.read(u64(call, 1), XENOPROF_INIT_SIZE) ? -ENODEV : -EFAULT;
}
