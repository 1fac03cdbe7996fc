// Xen public header vcpu.h.

import { array, handle, s32, struct, u32, u64, union } from './layout/index.js';

/** Operations of `vcpu_op`. */
export const VCPUOP_initialise = 0;
export const VCPUOP_up = 1;
export const VCPUOP_down = 2;
export const VCPUOP_is_up = 3;
export const VCPUOP_get_runstate_info = 4;
export const VCPUOP_register_runstate_memory_area = 5;
export const VCPUOP_set_periodic_timer = 6;
export const VCPUOP_stop_periodic_timer = 7;
export const VCPUOP_set_singleshot_timer = 8;
export const VCPUOP_stop_singleshot_timer = 9;
export const VCPUOP_register_vcpu_info = 10;
export const VCPUOP_send_nmi = 11;
export const VCPUOP_get_physid = 12;
export const VCPUOP_register_vcpu_time_memory_area = 13;

/** States of a vCPU (`vcpu_runstate_info.state`). */
export const RUNSTATE_running = 0;
export const RUNSTATE_runnable = 1;
export const RUNSTATE_blocked = 2;
export const RUNSTATE_offline = 3;

/** Bit of `state_entry_time` that is set while Xen updates the area (with `VMASST_TYPE_runstate_update_flag`). */
export const XEN_RUNSTATE_UPDATE = 0x8000_0000_0000_0000n;

/** Flag of `vcpu_set_singleshot_timer`: a time in the past is refused with `ETIME`. */
export const _VCPU_SSHOTTMR_future = 0;
export const VCPU_SSHOTTMR_future = 1;

/** Time spent in each state; argument of `VCPUOP_get_runstate_info`. */
export const VcpuRunstateInfo = struct('struct vcpu_runstate_info', {
  /** `RUNSTATE_*`. */
  state: s32,
  /** System time, in ns, of the last change; may carry `XEN_RUNSTATE_UPDATE`. */
  state_entry_time: u64,
  /** ns in each state. */
  time: array(u64, 4),
});

/** Argument of `VCPUOP_register_runstate_memory_area`. */
export const VcpuRegisterRunstateMemoryArea = struct('struct vcpu_register_runstate_memory_area', {
  addr: union('', { h: handle, v: handle, p: u64 }),
});

/** Argument of `VCPUOP_set_periodic_timer`. */
export const VcpuSetPeriodicTimer = struct('struct vcpu_set_periodic_timer', { period_ns: u64 });

/** Argument of `VCPUOP_set_singleshot_timer`. */
export const VcpuSetSingleshotTimer = struct('struct vcpu_set_singleshot_timer', {
  /** System time in ns. */
  timeout_abs_ns: u64,
  /** `VCPU_SSHOTTMR_*`. */
  flags: u32,
});

/** Argument of `VCPUOP_register_vcpu_info`. */
export const VcpuRegisterVcpuInfo = struct('struct vcpu_register_vcpu_info', {
  mfn: u64,
  /** Byte offset in that frame. */
  offset: u32,
  rsvd: u32,
});

/** Argument of `VCPUOP_get_physid`. */
export const VcpuGetPhysid = struct('struct vcpu_get_physid', { phys_id: u64 });

/** Argument of `VCPUOP_register_vcpu_time_memory_area`. */
export const VcpuRegisterTimeMemoryArea = struct('struct vcpu_register_time_memory_area', {
  addr: union('', { h: handle, v: handle, p: u64 }),
});
