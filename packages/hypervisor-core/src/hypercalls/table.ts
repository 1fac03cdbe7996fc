import * as abi from '@xenolith/xen-abi';
import { GPR } from '../arch/x86.js';
import type { Vcpu } from '../domain/vcpu.js';
import type { Hypervisor } from '../hypervisor.js';
import type { Call, Handler } from './call.js';
import { consoleIo } from './console-io.js';
import { eventChannelOp, eventChannelOpCompat } from './event-channel-op.js';
import { grantTableOp } from './grant-table-op.js';
import * as memory from './memory-glue.js';
import { multicall } from './multicall.js';
import { physdevOp, physdevOpCompat } from './physdev-op.js';
import * as state from './processor-state.js';
import { schedOp, schedOpCompat, setTimerOp } from './sched-op.js';
import * as traps from './trap-handlers.js';
import { controlOp, dmOp, forbidden, hvmOp, notBuilt, xenpmuOp } from './unavailable.js';
import { vcpuOp } from './vcpu-op.js';
import { xenVersion } from './xen-version.js';

/** What is known of a hypercall: the dispatcher, multicall, traces and crash reports read it here. */
export interface Hypercall {
  readonly name: string;
  /** Names of its arguments, for traces. */
  readonly args: readonly string[];
  readonly handler: Handler;
  /** Prefix of the names of sub-operations (argument 0): `VCPUOP_`. */
  readonly operations?: string;
}

const entry = (name: string, args: string, handler: Handler, operations?: string): Hypercall => ({
  name,
  args: args ? args.split(' ') : [],
  handler,
  ...(operations && { operations }),
});

const SYSCTL_VERSION = 0x15;
const DOMCTL_VERSION = 0x15;

/** The hypercalls of Xen 4.17 for 64-bit PV guests by number; the rest answers ENOSYS. */
export const HYPERCALLS: ReadonlyMap<number, Hypercall> = new Map<number, Hypercall>([
  [abi.__HYPERVISOR_set_trap_table, entry('set_trap_table', 'table', traps.setTrapTable)],
  [abi.__HYPERVISOR_mmu_update, entry('mmu_update', 'requests count done domid', memory.mmuUpdate)],
  [abi.__HYPERVISOR_set_gdt, entry('set_gdt', 'frames entries', memory.setGdt)],
  [abi.__HYPERVISOR_stack_switch, entry('stack_switch', 'ss sp', state.stackSwitch)],
  [abi.__HYPERVISOR_set_callbacks, entry('set_callbacks', 'event failsafe syscall', traps.setCallbacks)],
  [abi.__HYPERVISOR_fpu_taskswitch, entry('fpu_taskswitch', 'set', state.fpuTaskswitch)],
  [abi.__HYPERVISOR_sched_op_compat, entry('sched_op_compat', 'cmd arg', schedOpCompat, 'SCHEDOP_')],
  [abi.__HYPERVISOR_platform_op, entry('platform_op', 'op', controlOp(abi.XENPF_INTERFACE_VERSION))],
  [abi.__HYPERVISOR_set_debugreg, entry('set_debugreg', 'register value', state.setDebugreg)],
  [abi.__HYPERVISOR_get_debugreg, entry('get_debugreg', 'register', state.getDebugreg)],
  [
    abi.__HYPERVISOR_update_descriptor,
    entry('update_descriptor', 'address descriptor', memory.updateDescriptor),
  ],
  [abi.__HYPERVISOR_memory_op, entry('memory_op', 'cmd arg', memory.memoryOp, 'XENMEM_')],
  [abi.__HYPERVISOR_multicall, entry('multicall', 'calls count', multicall)],
  [abi.__HYPERVISOR_update_va_mapping, entry('update_va_mapping', 'va value flags', memory.updateVaMapping)],
  [abi.__HYPERVISOR_set_timer_op, entry('set_timer_op', 'timeout', setTimerOp)],
  [abi.__HYPERVISOR_event_channel_op_compat, entry('event_channel_op_compat', 'op', eventChannelOpCompat)],
  [abi.__HYPERVISOR_xen_version, entry('xen_version', 'cmd arg', xenVersion, 'XENVER_')],
  [abi.__HYPERVISOR_console_io, entry('console_io', 'cmd count buffer', consoleIo, 'CONSOLEIO_')],
  [abi.__HYPERVISOR_physdev_op_compat, entry('physdev_op_compat', 'op', physdevOpCompat)],
  [abi.__HYPERVISOR_grant_table_op, entry('grant_table_op', 'cmd ops count', grantTableOp, 'GNTTABOP_')],
  [abi.__HYPERVISOR_vm_assist, entry('vm_assist', 'cmd type', state.vmAssist, 'VMASST_CMD_')],
  [
    abi.__HYPERVISOR_update_va_mapping_otherdomain,
    entry('update_va_mapping_otherdomain', 'va value flags domid', memory.updateVaMappingOtherDomain),
  ],
  [abi.__HYPERVISOR_iret, entry('iret', '', state.iret)],
  [abi.__HYPERVISOR_vcpu_op, entry('vcpu_op', 'cmd vcpu arg', vcpuOp, 'VCPUOP_')],
  [
    abi.__HYPERVISOR_set_segment_base,
    entry('set_segment_base', 'which base', state.setSegmentBase, 'SEGBASE_'),
  ],
  [abi.__HYPERVISOR_mmuext_op, entry('mmuext_op', 'ops count done domid', memory.mmuextOp)],
  [abi.__HYPERVISOR_xsm_op, entry('xsm_op', 'op', notBuilt)],
  [abi.__HYPERVISOR_nmi_op, entry('nmi_op', 'cmd arg', traps.nmiOp, 'XENNMI_')],
  [abi.__HYPERVISOR_sched_op, entry('sched_op', 'cmd arg', schedOp, 'SCHEDOP_')],
  [abi.__HYPERVISOR_callback_op, entry('callback_op', 'cmd arg', traps.callbackOp, 'CALLBACKOP_')],
  [abi.__HYPERVISOR_xenoprof_op, entry('xenoprof_op', 'op arg', notBuilt)],
  [
    abi.__HYPERVISOR_event_channel_op,
    entry('event_channel_op', 'cmd arg', (c) => eventChannelOp(c), 'EVTCHNOP_'),
  ],
  [abi.__HYPERVISOR_physdev_op, entry('physdev_op', 'cmd arg', (c) => physdevOp(c), 'PHYSDEVOP_')],
  [abi.__HYPERVISOR_hvm_op, entry('hvm_op', 'cmd arg', hvmOp)],
  [abi.__HYPERVISOR_sysctl, entry('sysctl', 'op', controlOp(SYSCTL_VERSION))],
  [abi.__HYPERVISOR_domctl, entry('domctl', 'op', controlOp(DOMCTL_VERSION))],
  [abi.__HYPERVISOR_kexec_op, entry('kexec_op', 'op arg', forbidden)],
  [abi.__HYPERVISOR_tmem_op, entry('tmem_op', 'op', notBuilt)],
  [abi.__HYPERVISOR_argo_op, entry('argo_op', 'cmd arg1 arg2 arg3 arg4', notBuilt)],
  [abi.__HYPERVISOR_xenpmu_op, entry('xenpmu_op', 'op arg', xenpmuOp)],
  [abi.__HYPERVISOR_dm_op, entry('dm_op', 'domid count buffers', dmOp)],
  [abi.__HYPERVISOR_hypfs_op, entry('hypfs_op', 'cmd arg1 arg2 arg3 arg4', forbidden)],
  [abi.__HYPERVISOR_arch_0, entry('mca', 'op', forbidden)],
  [abi.__HYPERVISOR_arch_1, entry('paging_domctl_cont', 'op', forbidden)],
]);

/** Sub-operation names by prefix and number, from the header constants: `VCPUOP_` 1 → `VCPUOP_up`. */
const operationNames = new Map<string, Map<number, string>>();

/** Name of a sub-operation, or its number. */
export function operationName(prefix: string, value: bigint): string | bigint {
  let names = operationNames.get(prefix);
  if (!names) {
    names = new Map();
    for (const [name, constant] of Object.entries(abi)) {
      const usable = name.startsWith(prefix) && typeof constant === 'number';
      if (usable && !names.has(constant)) names.set(constant, name);
    }
    operationNames.set(prefix, names);
  }
  const command = prefix === 'XENMEM_' ? value & 0x3fn : value & 0xffff_ffffn;
  return names.get(Number(command)) ?? value;
}

/** Result −ERESTART of a handler: the memory policy wants to go on later. */
const RESTART = -abi.ERESTART;

/**
 * Makes one hypercall and returns its result. `nested`: inside a multicall, where a call that wants to go on later is
 * made to its end at once.
 */
export function makeHypercall(
  hv: Hypervisor,
  vcpu: Vcpu,
  number: number,
  args: readonly bigint[],
  nested = false,
): number | bigint {
  const hypercall = HYPERCALLS.get(number);
  let result: number | bigint;
  if (hypercall) {
    const call: Call = {
      hv,
      vcpu,
      domain: vcpu.domain,
      guest: hv.access,
      args,
      make: (other, otherArgs) => makeHypercall(hv, vcpu, other, otherArgs, true),
    };
    result = hypercall.handler(call);
    while (nested && result === RESTART) {
      const rest = hv.memory.takeContinuation();
      if (!rest) break;
      result = hypercall.handler({ ...call, args: rest });
    }
  } else {
    result = -abi.ENOSYS;
    hv.log.log('warn', 'hypercall', `Domain ${vcpu.domain.domid} made the unknown hypercall ${number}.`);
  }
  if (hv.trace.wants('hypercall')) traceHypercall(hv, vcpu, number, args, result, nested);
  return result;
}

function traceHypercall(
  hv: Hypervisor,
  vcpu: Vcpu,
  number: number,
  args: readonly bigint[],
  result: number | bigint,
  nested: boolean,
): void {
  const hypercall = HYPERCALLS.get(number);
  const decoded: Record<string, string | bigint> = {};
  const names = hypercall?.args ?? ['arg1', 'arg2', 'arg3', 'arg4', 'arg5'];
  names.forEach((name, i) => {
    const value = args[i]!;
    decoded[name] = i === 0 && hypercall?.operations ? operationName(hypercall.operations, value) : value;
  });
  hv.trace.emit({
    class: 'hypercall',
    domid: vcpu.domain.domid,
    vcpu: vcpu.vcpuId,
    name: `${nested ? 'multicall: ' : ''}${hypercall?.name ?? `hypercall ${number}`}`,
    args: decoded,
    result,
  });
}

const ARGUMENTS = [GPR.rdi, GPR.rsi, GPR.rdx, GPR.r10, GPR.r8, GPR.r9] as const;

/** A SYSCALL of the guest's kernel: RAX the number, and afterwards the result. */
export function handleHypercall(hv: Hypervisor, vcpu: Vcpu, length: number): void {
  const { regs } = hv.cpu;
  const { gpr } = regs;
  const number = Number(BigInt.asUintN(32, gpr[GPR.rax]!));
  const args = ARGUMENTS.map((register) => gpr[register]!);
  vcpu.recent.record(0, number, args[0]!, regs.rip);
  hv.continuation = undefined;
  const result = makeHypercall(hv, vcpu, number, args);
  const rest = result === RESTART ? hv.memory.takeContinuation() : hv.continuation;
  if (rest) {
    // The guest makes the call again with what is left to do.
    rest.forEach((value, i) => {
      gpr[ARGUMENTS[i]!] = value;
    });
    regs.rip = BigInt.asUintN(64, regs.rip - BigInt(length));
    return;
  }
  gpr[GPR.rax] = BigInt.asUintN(64, BigInt(result));
}
