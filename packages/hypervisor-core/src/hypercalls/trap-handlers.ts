import {
  CALLBACKF_mask_events,
  CALLBACKTYPE_event,
  CALLBACKTYPE_failsafe,
  CALLBACKTYPE_nmi,
  CALLBACKTYPE_syscall,
  CALLBACKTYPE_syscall32,
  CALLBACKTYPE_sysenter,
  CallbackRegister,
  CallbackUnregister,
  EFAULT,
  EINVAL,
  ENOSYS,
  FLAT_KERNEL_CS,
  TrapInfo,
  XennmiCallback,
} from '@xenolith/xen-abi';
import { isCanonical, U64, VECTOR } from '../arch/x86.js';
import type { Vcpu } from '../domain/vcpu.js';
import { Operations, plain, taking } from '../operations.js';
import { type Call, u64 } from './call.js';

/** `trap_info.flags` of an NMI handler: events are masked on entry. */
const MASKS_EVENTS = 4;

/** The guest kernel's ring is 3: a selector of a lower RPL is raised to it. */
export const fixupSelector = (selector: number): number => selector | 3;

/** Work of one entry of a trap table. */
const ENTRY_WORK = 10;

/** The table ends with an entry whose address is 0; no table clears the virtual IDT. */
export function setTrapTable({ guest, hv, vcpu, args }: Call): number {
  const { work } = hv.memory;
  let at = args[0]!;
  if (at === 0n) {
    vcpu.traps.clear();
    return 0;
  }
  for (let first = true; ; first = false, at = U64(at + BigInt(TrapInfo.size))) {
    // A table need not end: it goes on until something is not readable.
    if (!first && work.isEnough) return hv.memory.continueWith([at]);
    work.done += ENTRY_WORK;
    const info = guest.readStruct(TrapInfo, at);
    if (!info) return -EFAULT;
    if (info.address === 0n) return 0;
    if (!isCanonical(info.address)) return -EINVAL;
    vcpu.traps.set(info.vector, info.address, fixupSelector(info.cs), info.flags);
  }
}

function setNmiHandler(vcpu: Vcpu, address: bigint): number {
  if (!isCanonical(address)) return -EINVAL;
  vcpu.traps.set(VECTOR.nmi, address, FLAT_KERNEL_CS, MASKS_EVENTS);
  return 0;
}

function registerCallback(vcpu: Vcpu, type: number, address: bigint, flags: number): number {
  if (!isCanonical(address)) return -EINVAL;
  const callback = { address, masksEvents: (flags & CALLBACKF_mask_events) !== 0 };
  switch (type) {
    case CALLBACKTYPE_event:
      vcpu.event = callback;
      return 0;
    case CALLBACKTYPE_failsafe:
      vcpu.failsafe = callback;
      return 0;
    case CALLBACKTYPE_syscall:
      vcpu.syscall = callback;
      return 0;
    case CALLBACKTYPE_syscall32:
      vcpu.syscall32 = callback;
      return 0;
    case CALLBACKTYPE_sysenter:
      vcpu.sysenter = callback;
      return 0;
    case CALLBACKTYPE_nmi:
      return setNmiHandler(vcpu, address);
    // The deprecated sysenter type is for 32-bit guests.
    default:
      return -ENOSYS;
  }
}

function unregisterCallback(vcpu: Vcpu, type: number): number {
  switch (type) {
    case CALLBACKTYPE_event:
    case CALLBACKTYPE_failsafe:
    case CALLBACKTYPE_syscall:
    case CALLBACKTYPE_syscall32:
    case CALLBACKTYPE_sysenter:
      return -EINVAL;
    case CALLBACKTYPE_nmi:
      vcpu.traps.set(VECTOR.nmi, 0n, 0, 0);
      return 0;
    default:
      return -ENOSYS;
  }
}

export const CALLBACK_OPERATIONS = new Operations<Call, 'CALLBACKOP_'>('CALLBACKOP_', {
  register: taking(CallbackRegister, ({ vcpu }, { type, address, flags }) =>
    registerCallback(vcpu, type, address, flags),
  ),
  unregister: taking(CallbackUnregister, ({ vcpu }, { type }) => unregisterCallback(vcpu, type)),
});

/** The old form: event, failsafe and system-call entry points at once; a bad address is passed over. */
export function setCallbacks(call: Call): number {
  const { vcpu } = call;
  registerCallback(vcpu, CALLBACKTYPE_event, u64(call, 0), 0);
  registerCallback(vcpu, CALLBACKTYPE_failsafe, u64(call, 1), 0);
  registerCallback(vcpu, CALLBACKTYPE_syscall, u64(call, 2), 0);
  return 0;
}

export const NMI_OPERATIONS = new Operations<Call, 'XENNMI_'>('XENNMI_', {
  register_callback: taking(XennmiCallback, ({ vcpu }, { handler_address: address }) =>
    setNmiHandler(vcpu, address),
  ),
  unregister_callback: plain(({ vcpu }) => unregisterCallback(vcpu, CALLBACKTYPE_nmi)),
});
