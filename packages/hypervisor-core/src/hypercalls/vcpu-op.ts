import { FrameType } from '@xenolith/mmu/frames';
import {
  EEXIST,
  EFAULT,
  EINVAL,
  ENOENT,
  ENOSYS,
  ENXIO,
  SHUTDOWN_poweroff,
  VCPUOP_down,
  VCPUOP_get_physid,
  VCPUOP_get_runstate_info,
  VCPUOP_initialise,
  VCPUOP_is_up,
  VCPUOP_register_runstate_memory_area,
  VCPUOP_register_vcpu_info,
  VCPUOP_register_vcpu_time_memory_area,
  VCPUOP_send_nmi,
  VCPUOP_set_periodic_timer,
  VCPUOP_set_singleshot_timer,
  VCPUOP_stop_periodic_timer,
  VCPUOP_stop_singleshot_timer,
  VCPUOP_up,
  VcpuGuestContext,
  VcpuInfo,
  VcpuRegisterVcpuInfo,
  VcpuSetPeriodicTimer,
  VcpuSetSingleshotTimer,
} from '@xenolith/xen-abi';
import { setInfoGuest } from '../domain/set-info-guest.js';
import type { Vcpu } from '../domain/vcpu.js';
import { type Call, s32, u32, u64 } from './call.js';

const NS_PER_MS = 1_000_000n;
/** STIME_DELTA_MAX: about 500 years less, half of what a signed 64-bit time holds. */
const MAX_PERIOD = (1n << 63n) - 1n;

/** vcpu_op (xen/common/domain.c, xen/arch/x86/domain.c). */
export function vcpuOp(call: Call): number {
  const { domain, guest, hv } = call;
  const vcpu = domain.vcpus[u32(call, 1)];
  if (!vcpu) return -ENOENT;
  const arg = u64(call, 2);
  switch (s32(call, 0)) {
    case VCPUOP_initialise:
      return initialise(call, vcpu, arg);
    case VCPUOP_up:
      if (!vcpu.initialised) return -EINVAL;
      hv.bringUp(vcpu);
      return 0;
    case VCPUOP_down:
      if (domain.vcpus.some((other) => other !== vcpu && !other.down)) hv.takeDown(vcpu);
      else hv.shutdownDomain(domain, SHUTDOWN_poweroff);
      return 0;
    case VCPUOP_is_up:
      return vcpu.down ? 0 : 1;
    case VCPUOP_get_runstate_info:
      return guest.copyTo(arg, hv.runstateBytes(vcpu)) ? 0 : -EFAULT;
    case VCPUOP_set_periodic_timer: {
      const request = guest.readStruct(VcpuSetPeriodicTimer, arg);
      if (!request) return -EFAULT;
      if (request.period_ns < NS_PER_MS || request.period_ns > MAX_PERIOD) return -EINVAL;
      hv.setPeriodic(vcpu, Number(request.period_ns));
      return 0;
    }
    case VCPUOP_stop_periodic_timer:
      hv.setPeriodic(vcpu, 0);
      return 0;
    case VCPUOP_set_singleshot_timer: {
      if (vcpu !== call.vcpu) return -EINVAL;
      const request = guest.readStruct(VcpuSetSingleshotTimer, arg);
      if (!request) return -EFAULT;
      hv.startSingleshot(vcpu, Number(request.timeout_abs_ns));
      return 0;
    }
    case VCPUOP_stop_singleshot_timer:
      if (vcpu !== call.vcpu) return -EINVAL;
      hv.stopSingleshot(vcpu);
      return 0;
    case VCPUOP_register_vcpu_info:
      return registerVcpuInfo(call, vcpu, arg);
    case VCPUOP_register_runstate_memory_area: {
      const address = guest.readU64(arg);
      if (address === undefined || !guest.inRange(address, 1)) return -EFAULT;
      vcpu.runstateArea = address;
      if (address !== 0n) guest.copyTo(address, hv.runstateBytes(vcpu));
      return 0;
    }
    case VCPUOP_register_vcpu_time_memory_area: {
      const address = guest.readU64(arg);
      if (address === undefined || !guest.inRange(address, 1)) return -EFAULT;
      vcpu.timeArea = address;
      hv.updateTime(vcpu);
      return 0;
    }
    case VCPUOP_send_nmi:
      if (arg !== 0n) return -EINVAL;
      vcpu.nmiPending = true;
      hv.unblockVcpu(vcpu);
      return 0;
    case VCPUOP_get_physid:
      return -EINVAL;
    default:
      return -ENOSYS;
  }
}

function initialise({ guest, hv }: Call, vcpu: Vcpu, arg: bigint): number {
  if (vcpu.vcpuInfo === 0) return -EINVAL;
  const context = guest.readStruct(VcpuGuestContext, arg);
  if (!context) return -EFAULT;
  return vcpu.initialised ? -EEXIST : setInfoGuest(hv, vcpu, context);
}

/** map_vcpu_info: once for each vCPU; the record moves, and everything counts as pending once. */
function registerVcpuInfo({ domain, guest, hv, vcpu: caller }: Call, vcpu: Vcpu, arg: bigint): number {
  const request = guest.readStruct(VcpuRegisterVcpuInfo, arg);
  if (!request) return -EFAULT;
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
