import { FrameType } from '@xenolith/mmu/frames';
import {
  EEXIST,
  EFAULT,
  EINVAL,
  ENOENT,
  ENXIO,
  ERESTART,
  SHUTDOWN_poweroff,
  VcpuGuestContext,
  VcpuInfo,
  VcpuRegisterRunstateMemoryArea,
  VcpuRegisterTimeMemoryArea,
  VcpuRegisterVcpuInfo,
  VcpuSetPeriodicTimer,
  VcpuSetSingleshotTimer,
} from '@xenolith/xen-abi';
import { setInfoGuest } from '../domain/set-info-guest.js';
import type { Vcpu } from '../domain/vcpu.js';
import {
  type Accessed,
  Operations,
  plain,
  preemptible,
  refused,
  structReader,
  taking,
} from '../operations.js';
import { copyTimeArea } from '../time/time-records.js';
import { type Call, s32, u32, u64 } from './call.js';

const NS_PER_MS = 1_000_000n;
/** STIME_DELTA_MAX: half of what a signed 64-bit time holds. */
const MAX_PERIOD = (1n << 62n) - 1n;

const readSingleshot = structReader(VcpuSetSingleshotTimer);

/** A call of vcpu_op, about `target`. */
interface VcpuCall extends Call {
  readonly target: Vcpu;
}

/** vcpu_op (xen/common/domain.c, xen/arch/x86/domain.c). */
export const VCPU_OPERATIONS = new Operations<VcpuCall, 'VCPUOP_'>('VCPUOP_', {
  initialise: preemptible(plain(initialise, VcpuGuestContext)),
  up: plain(({ hv, target }) => {
    if (!target.initialised) return -EINVAL;
    hv.bringUp(target);
    return 0;
  }),
  down: plain(({ domain, hv, target }) => {
    if (domain.vcpus.some((other) => other !== target && !other.down)) hv.takeDown(target);
    else hv.shutdownDomain(domain, SHUTDOWN_poweroff);
    return 0;
  }),
  is_up: plain(({ target }) => (target.down ? 0 : 1)),
  get_runstate_info: plain(({ guest, hv, target }, arg) =>
    guest.copyTo(arg, hv.runstateBytes(target)) ? 0 : -EFAULT,
  ),
  set_periodic_timer: taking(VcpuSetPeriodicTimer, ({ hv, target }, { period_ns: period }) => {
    if (period < NS_PER_MS || period > MAX_PERIOD) return -EINVAL;
    hv.setPeriodic(target, Number(period));
    return 0;
  }),
  stop_periodic_timer: plain(({ hv, target }) => {
    hv.setPeriodic(target, 0);
    return 0;
  }),
  set_singleshot_timer: plain((call, arg) => {
    const { guest, hv, target, vcpu } = call;
    if (target !== vcpu) return -EINVAL;
    const request = readSingleshot(guest, arg);
    if (!request) return -EFAULT;
    // Behind 2^63 it is a time that is over.
    hv.startSingleshot(target, Number(BigInt.asIntN(64, request.timeout_abs_ns)));
    return 0;
  }, VcpuSetSingleshotTimer),
  stop_singleshot_timer: plain(({ hv, target, vcpu }) => {
    if (target !== vcpu) return -EINVAL;
    hv.stopSingleshot(target);
    return 0;
  }),
  register_vcpu_info: taking(VcpuRegisterVcpuInfo, registerVcpuInfo),
  register_runstate_memory_area: taking(
    VcpuRegisterRunstateMemoryArea,
    ({ guest, hv, target, vcpu }, { addr: { v: address } }) => {
      if (!guest.inRange(address, 1)) return -EFAULT;
      target.runstateArea = address;
      const upTo = target === vcpu ? target.runstate.since : hv.clock.now;
      if (address !== 0n) guest.copyTo(address, hv.runstateBytes(target, upTo));
      return 0;
    },
  ),
  register_vcpu_time_memory_area: taking(
    VcpuRegisterTimeMemoryArea,
    ({ guest, hv, target, vcpu }, { addr: { v: address } }) => {
      if (!guest.inRange(address, 1)) return -EFAULT;
      target.timeArea = address;
      hv.updateTime(target);
      // At once, in the caller's address space; again in its own when it runs.
      if (target !== vcpu) copyTimeArea(hv.memory.machine, hv.access, target);
      return 0;
    },
  ),
  send_nmi: plain(({ hv, target }, arg) => {
    if (arg !== 0n) return -EINVAL;
    target.nmiPending = true;
    hv.unblockVcpu(target);
    return 0;
  }),
  get_physid: refused(EINVAL, 'domU'),
});

export function vcpuOp(call: Call): number | bigint {
  const target = call.domain.vcpus[u32(call, 1)];
  return target ? VCPU_OPERATIONS.make(s32(call, 0), { ...call, target }, u64(call, 2)) : -ENOENT;
}

function initialise({ args, guest, hv, target }: VcpuCall, arg: bigint): number {
  if (target.vcpuInfo === 0) return -EINVAL;
  const context = guest.readStruct(VcpuGuestContext, arg);
  if (!context) return -EFAULT;
  if (target.initialised) return -EEXIST;
  const rc = setInfoGuest(hv, target, context);
  return rc === -ERESTART ? hv.memory.continueWith(args) : rc;
}

/** map_vcpu_info: once for each vCPU; the record moves, and everything counts as pending once. */
function registerVcpuInfo(
  { domain, hv, vcpu: caller, target: vcpu }: VcpuCall,
  request: Accessed<(typeof VcpuRegisterVcpuInfo)['fields']>,
): number {
  const { offset } = request;
  if (offset > 4096 - VcpuInfo.size || offset % 8 !== 0) return -ENXIO;
  if (vcpu.vcpuInfoFrame !== 0 || (vcpu !== caller && !vcpu.down)) return -EINVAL;
  const { frames } = hv.memory;
  const { machine } = frames;
  if (request.mfn >= BigInt(machine.frames)) return -EINVAL;
  const mfn = Number(request.mfn);
  if (frames.getPageAndType(mfn, domain.domid, FrameType.writable) !== 0) return -EINVAL;

  const at = mfn * 4096 + offset;
  if (vcpu.vcpuInfo === 0) {
    machine.bytes.fill(0, at, at + VcpuInfo.size);
    machine.bytes[at + VcpuInfo.offset.evtchn_upcall_mask] = 1;
  } else {
    machine.bytes.copyWithin(at, vcpu.vcpuInfo, vcpu.vcpuInfo + VcpuInfo.size);
  }
  frames.codeWritten(at, VcpuInfo.size);
  vcpu.vcpuInfo = at;
  vcpu.vcpuInfoFrame = mfn;
  machine.view.setBigUint64(at + VcpuInfo.offset.evtchn_pending_sel, 0xffff_ffff_ffff_ffffn, true);
  hv.info.setPending(vcpu);
  hv.unblockVcpu(vcpu);
  hv.updateTime(vcpu);
  return 0;
}
