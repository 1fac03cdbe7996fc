import * as abi from '@xenolith/xen-abi';
import { MEMORY_OPERATIONS, MMU_OPERATIONS, MMUEXT_OPERATIONS } from '../memory/index.js';
import type { Operations, Refusal, RefusedTo } from '../operations.js';
import { type Call, type Handler, u32, u64 } from './call.js';
import { CONSOLE_OPERATIONS, consoleIo } from './console-io.js';
import { EVENT_CHANNEL_OPERATIONS, eventChannelOpCompat } from './event-channel-op.js';
import { GRANT_OPERATIONS, grantTableOp } from './grant-table-op.js';
import { HVM_OPERATIONS } from './hvm-op.js';
import * as memory from './memory-glue.js';
import { multicall } from './multicall.js';
import { PHYSDEV_OPERATIONS, physdevOpCompat } from './physdev-op.js';
import * as state from './processor-state.js';
import { SCHED_COMPAT_OPERATIONS, SCHED_OPERATIONS, setTimerOp } from './sched-op.js';
import * as traps from './trap-handlers.js';
import { controlOp, dmOp, domctl, pagingDomctlCont, xenoprofOp } from './unavailable.js';
import { VCPU_OPERATIONS, vcpuOp } from './vcpu-op.js';
import { VERSION_OPERATIONS } from './xen-version.js';

/** What is known of a hypercall: the dispatcher, multicall, traces, crash reports and the feature list read it here. */
export interface Hypercall {
  readonly name: string;
  /** Names of its arguments, for traces. */
  readonly args: readonly string[];
  readonly handler: Handler;
  /** Its sub-operations. */
  readonly operations?: SubOperations;
  /** What an unprivileged PV domain gets of a call that is not for it, whatever the sub-operation. */
  readonly refusal?: Refusal;
  /** It, or each of its sub-operations, may stop in the middle; the guest then makes the call again with what is left. */
  readonly preemptible?: boolean;
  /** What else a reader of the feature list should know. */
  readonly note?: string;
}

/** What of `Operations` does not depend on how its handlers are called. */
export type SubOperations = Pick<Operations<never>, 'prefix' | 'unknown' | 'get' | 'values'>;

const entry = (name: string, args: string, handler: Handler, operations?: SubOperations): Hypercall => ({
  name,
  args: args ? args.split(' ') : [],
  handler,
  ...(operations && { operations }),
});

/** May stop in the middle of long work. */
const preemptible = (row: Hypercall): Hypercall => ({ ...row, preemptible: true });

/** Argument 0 says which sub-operation, the next one is its argument. */
const group = (name: string, args: string, operations: Operations<Call>): Hypercall =>
  entry(name, args, (call) => operations.make(u32(call, 0), call, u64(call, 1)), operations);

const refuse = (
  name: string,
  args: string,
  errno: number,
  to: RefusedTo,
  handler: Handler = () => -errno,
): Hypercall => ({ ...entry(name, args, handler), refusal: { errno, to } });

const SYSCTL_VERSION = 0x15;

const control = (name: string, version: number): Hypercall =>
  refuse(name, 'op', abi.EPERM, 'domU', controlOp(version));

/** The hypercalls of Xen 4.17 for 64-bit PV guests by number; the rest answers ENOSYS. */
export const HYPERCALLS: ReadonlyMap<number, Hypercall> = new Map<number, Hypercall>([
  [abi.__HYPERVISOR_set_trap_table, preemptible(entry('set_trap_table', 'table', traps.setTrapTable))],
  [
    abi.__HYPERVISOR_mmu_update,
    preemptible(entry('mmu_update', 'requests count done domid', memory.mmuUpdate, MMU_OPERATIONS)),
  ],
  [abi.__HYPERVISOR_set_gdt, entry('set_gdt', 'frames entries', memory.setGdt)],
  [abi.__HYPERVISOR_stack_switch, entry('stack_switch', 'ss sp', state.stackSwitch)],
  [abi.__HYPERVISOR_set_callbacks, entry('set_callbacks', 'event failsafe syscall', traps.setCallbacks)],
  [abi.__HYPERVISOR_fpu_taskswitch, entry('fpu_taskswitch', 'set', state.fpuTaskswitch)],
  [abi.__HYPERVISOR_sched_op_compat, group('sched_op_compat', 'cmd arg', SCHED_COMPAT_OPERATIONS)],
  [abi.__HYPERVISOR_platform_op, control('platform_op', abi.XENPF_INTERFACE_VERSION)],
  [abi.__HYPERVISOR_set_debugreg, entry('set_debugreg', 'register value', state.setDebugreg)],
  [abi.__HYPERVISOR_get_debugreg, entry('get_debugreg', 'register', state.getDebugreg)],
  [
    abi.__HYPERVISOR_update_descriptor,
    entry('update_descriptor', 'address descriptor', memory.updateDescriptor),
  ],
  [abi.__HYPERVISOR_memory_op, entry('memory_op', 'cmd arg', memory.memoryOp, MEMORY_OPERATIONS)],
  [abi.__HYPERVISOR_multicall, preemptible(entry('multicall', 'calls count', multicall))],
  [abi.__HYPERVISOR_update_va_mapping, entry('update_va_mapping', 'va value flags', memory.updateVaMapping)],
  [abi.__HYPERVISOR_set_timer_op, entry('set_timer_op', 'timeout', setTimerOp)],
  [abi.__HYPERVISOR_event_channel_op_compat, entry('event_channel_op_compat', 'op', eventChannelOpCompat)],
  [abi.__HYPERVISOR_xen_version, group('xen_version', 'cmd arg', VERSION_OPERATIONS)],
  [
    abi.__HYPERVISOR_console_io,
    {
      ...entry('console_io', 'cmd count buffer', consoleIo, CONSOLE_OPERATIONS),
      note: 'EPERM unless the host lets this domU',
    },
  ],
  [abi.__HYPERVISOR_physdev_op_compat, entry('physdev_op_compat', 'op', physdevOpCompat)],
  [abi.__HYPERVISOR_grant_table_op, entry('grant_table_op', 'cmd ops count', grantTableOp, GRANT_OPERATIONS)],
  [abi.__HYPERVISOR_vm_assist, entry('vm_assist', 'cmd type', state.vmAssist, state.ASSIST_COMMANDS)],
  [
    abi.__HYPERVISOR_update_va_mapping_otherdomain,
    entry('update_va_mapping_otherdomain', 'va value flags domid', memory.updateVaMappingOtherDomain),
  ],
  [abi.__HYPERVISOR_iret, entry('iret', '', state.iret)],
  [abi.__HYPERVISOR_vcpu_op, entry('vcpu_op', 'cmd vcpu arg', vcpuOp, VCPU_OPERATIONS)],
  [abi.__HYPERVISOR_set_segment_base, group('set_segment_base', 'which base', state.SEGMENT_BASES)],
  [
    abi.__HYPERVISOR_mmuext_op,
    preemptible(entry('mmuext_op', 'ops count done domid', memory.mmuextOp, MMUEXT_OPERATIONS)),
  ],
  [abi.__HYPERVISOR_xsm_op, refuse('xsm_op', 'op', abi.ENOSYS, 'everybody')],
  [abi.__HYPERVISOR_nmi_op, group('nmi_op', 'cmd arg', traps.NMI_OPERATIONS)],
  [abi.__HYPERVISOR_sched_op, group('sched_op', 'cmd arg', SCHED_OPERATIONS)],
  [abi.__HYPERVISOR_callback_op, group('callback_op', 'cmd arg', traps.CALLBACK_OPERATIONS)],
  [abi.__HYPERVISOR_xenoprof_op, refuse('xenoprof_op', 'op arg', abi.ENODEV, 'everybody', xenoprofOp)],
  [abi.__HYPERVISOR_event_channel_op, group('event_channel_op', 'cmd arg', EVENT_CHANNEL_OPERATIONS)],
  [abi.__HYPERVISOR_physdev_op, group('physdev_op', 'cmd arg', PHYSDEV_OPERATIONS)],
  [abi.__HYPERVISOR_hvm_op, group('hvm_op', 'cmd arg', HVM_OPERATIONS)],
  [abi.__HYPERVISOR_sysctl, control('sysctl', SYSCTL_VERSION)],
  [abi.__HYPERVISOR_domctl, refuse('domctl', 'op', abi.EPERM, 'domU', domctl)],
  [abi.__HYPERVISOR_kexec_op, refuse('kexec_op', 'op arg', abi.EPERM, 'domU')],
  [abi.__HYPERVISOR_tmem_op, refuse('tmem_op', 'op', abi.ENOSYS, 'everybody')],
  [abi.__HYPERVISOR_argo_op, refuse('argo_op', 'cmd arg1 arg2 arg3 arg4', abi.ENOSYS, 'everybody')],
  // No performance counters: `vpmu` is off.
  [abi.__HYPERVISOR_xenpmu_op, refuse('xenpmu_op', 'op arg', abi.EOPNOTSUPP, 'everybody')],
  [abi.__HYPERVISOR_dm_op, refuse('dm_op', 'domid count buffers', abi.EINVAL, 'domU', dmOp)],
  [abi.__HYPERVISOR_hypfs_op, refuse('hypfs_op', 'cmd arg1 arg2 arg3 arg4', abi.EPERM, 'domU')],
  [abi.__HYPERVISOR_arch_0, refuse('mca', 'op', abi.EPERM, 'domU')],
  [abi.__HYPERVISOR_arch_1, refuse('paging_domctl_cont', 'op', abi.EPERM, 'domU', pagingDomctlCont)],
]);
