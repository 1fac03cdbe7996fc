import * as abi from '@xenolith/xen-abi';
import { beforeEach, describe, expect, it } from 'vitest';
import { type TestHost, testHost } from '../testing/test-host.js';
import { HYPERCALLS } from './table.js';
import { firstArgument } from './trace.js';

let host: TestHost;
let arg: bigint;
beforeEach(() => {
  host = testHost({}, { vcpus: 2 });
  arg = host.at(2);
});

const WILD = 0x10n;
const XEN = 0xffff_8000_0000_0000n;
const names = Object.entries(abi).filter(([name]) => name.startsWith('__HYPERVISOR_'));

/** Every row: hypercall, arguments (functions of the argument page), result. */
type Row = [string, (number | bigint | 'arg')[], number, (number | bigint)[]?];

const rows: Row[] = [
  // What a domU may not do, or what this Xen does not have.
  ['platform_op', ['arg'], -abi.EPERM, [0, abi.XENPF_INTERFACE_VERSION]],
  ['platform_op', ['arg'], -abi.EACCES, [0, 1]],
  ['platform_op', [WILD], -abi.EFAULT],
  ['sysctl', ['arg'], -abi.EPERM, [2, 0x15]],
  ['sysctl', ['arg'], -abi.EACCES, [2, 0x14]],
  ['domctl', ['arg'], -abi.EPERM, [1, 0x15]],
  ['kexec_op', [0, 'arg'], -abi.EPERM],
  ['hypfs_op', [0], -abi.EPERM],
  ['tmem_op', ['arg'], -abi.ENOSYS],
  ['argo_op', [1, 'arg'], -abi.ENOSYS],
  ['xsm_op', ['arg'], -abi.ENOSYS],
  ['xenoprof_op', [0, 'arg'], -abi.ENODEV],
  ['xenoprof_op', [9, 'arg'], -abi.EPERM],
  ['xenpmu_op', [0, 'arg'], -abi.EOPNOTSUPP],
  ['hvm_op', [0, 'arg'], -abi.EINVAL, [abi.DOMID_SELF]],
  ['hvm_op', [1, 'arg'], -abi.ESRCH, [77]],
  ['hvm_op', [99, 'arg'], -abi.ENOSYS],
  ['dm_op', [1, 1, 'arg'], -abi.EPERM],
  ['dm_op', [77, 1, 'arg'], -abi.ESRCH],
  ['dm_op', [77, 0, 'arg'], -abi.ENODATA],
  ['console_io', [abi.CONSOLEIO_write, 5, 'arg'], -abi.EPERM],
  // Traps and callbacks.
  ['set_trap_table', [WILD], -abi.EFAULT],
  ['set_trap_table', ['arg'], -abi.EINVAL, [3n, 0x8000_0000_0000_0000n]],
  ['callback_op', [0, 'arg'], -abi.EINVAL, [0, 0, 0x8000_0000_0000_0000n]],
  ['callback_op', [0, 'arg'], -abi.ENOSYS, [9, 0, 0n]],
  ['callback_op', [0, WILD], -abi.EFAULT],
  ['callback_op', [1, 'arg'], -abi.EINVAL, [abi.CALLBACKTYPE_event]],
  ['callback_op', [1, 'arg'], 0, [abi.CALLBACKTYPE_nmi]],
  ['callback_op', [2, 'arg'], -abi.ENOSYS],
  ['nmi_op', [0, WILD], -abi.EFAULT],
  ['nmi_op', [5, 'arg'], -abi.ENOSYS],
  // Processor state.
  ['set_debugreg', [0, 0x1000n], 0],
  ['set_debugreg', [0, XEN], -abi.EPERM],
  ['set_debugreg', [6, 1n << 32n], -abi.EINVAL],
  ['set_debugreg', [7, 1n << 13n], -abi.EPERM],
  ['set_debugreg', [7, 0x2_0001n], -abi.EPERM],
  ['set_debugreg', [8, 0], -abi.ENODEV],
  ['get_debugreg', [6], 0xffff_0ff0],
  ['get_debugreg', [7], 0x400],
  ['get_debugreg', [9], -abi.ENODEV],
  ['set_segment_base', [abi.SEGBASE_FS, 0x8000_0000_0000_0000n], -abi.EINVAL],
  ['set_segment_base', [abi.SEGBASE_GS_KERNEL, 0x1234n], 0],
  ['set_segment_base', [abi.SEGBASE_GS_USER_SEL, 0x2b], 0],
  ['set_segment_base', [4, 0], -abi.EINVAL],
  ['vm_assist', [abi.VMASST_CMD_enable, abi.VMASST_TYPE_writable_pagetables], 0],
  ['vm_assist', [abi.VMASST_CMD_enable, 31], -abi.EINVAL],
  ['vm_assist', [7, abi.VMASST_TYPE_writable_pagetables], -abi.ENOSYS],
  ['stack_switch', [0xe02b, 0x1000n], 0],
  ['fpu_taskswitch', [1], 0],
  // Versions.
  ['xen_version', [abi.XENVER_version, 0], 0x4_0011],
  ['xen_version', [abi.XENVER_extraversion, WILD], -abi.EFAULT],
  ['xen_version', [abi.XENVER_pagesize, 0], 4096],
  ['xen_version', [abi.XENVER_pagesize, 'arg'], -abi.EINVAL],
  ['xen_version', [abi.XENVER_get_features, 'arg'], -abi.EINVAL, [1, 0]],
  ['xen_version', [abi.XENVER_build_id, 0], -abi.EPERM],
  ['xen_version', [99, 'arg'], -abi.ENOSYS],
  // vCPUs.
  ['vcpu_op', [abi.VCPUOP_is_up, 0, 0], 1],
  ['vcpu_op', [abi.VCPUOP_is_up, 1, 0], 0],
  ['vcpu_op', [abi.VCPUOP_is_up, 2, 0], -abi.ENOENT],
  ['vcpu_op', [abi.VCPUOP_up, 1, 0], -abi.EINVAL],
  ['vcpu_op', [abi.VCPUOP_initialise, 1, WILD], -abi.EFAULT],
  ['vcpu_op', [abi.VCPUOP_get_runstate_info, 0, WILD], -abi.EFAULT],
  ['vcpu_op', [abi.VCPUOP_set_periodic_timer, 0, 'arg'], -abi.EINVAL, [999_999n]],
  ['vcpu_op', [abi.VCPUOP_stop_periodic_timer, 0, 0], 0],
  ['vcpu_op', [abi.VCPUOP_set_singleshot_timer, 1, 'arg'], -abi.EINVAL],
  ['vcpu_op', [abi.VCPUOP_stop_singleshot_timer, 1, 0], -abi.EINVAL],
  ['vcpu_op', [abi.VCPUOP_register_vcpu_info, 0, 'arg'], -abi.ENXIO, [1n, 0xfff, 0]],
  ['vcpu_op', [abi.VCPUOP_register_vcpu_info, 0, 'arg'], -abi.ENXIO, [1n, 4, 0]],
  ['vcpu_op', [abi.VCPUOP_register_vcpu_info, 0, 'arg'], -abi.EINVAL, [0xffff_ffff_ffffn, 0, 0]],
  ['vcpu_op', [abi.VCPUOP_register_runstate_memory_area, 0, 'arg'], -abi.EFAULT, [XEN]],
  ['vcpu_op', [abi.VCPUOP_send_nmi, 0, 'arg'], -abi.EINVAL],
  ['vcpu_op', [abi.VCPUOP_get_physid, 0, 'arg'], -abi.EINVAL],
  ['vcpu_op', [77, 0, 0], -abi.ENOSYS],
  // Scheduling.
  ['sched_op', [abi.SCHEDOP_yield, 0], 0],
  ['sched_op', [abi.SCHEDOP_shutdown, WILD], -abi.EFAULT],
  ['sched_op', [abi.SCHEDOP_poll, 'arg'], -abi.EINVAL, [0n, 129, 0, 0n]],
  ['sched_op', [abi.SCHEDOP_poll, 'arg'], -abi.EFAULT, [WILD, 1, 0, 0n]],
  ['sched_op', [abi.SCHEDOP_remote_shutdown, 'arg'], -abi.ESRCH, [77, 0]],
  ['sched_op', [abi.SCHEDOP_remote_shutdown, 'arg'], -abi.EPERM, [1, 0]],
  ['sched_op', [abi.SCHEDOP_watchdog, 'arg'], -abi.EINVAL, [3, 5]],
  ['sched_op', [abi.SCHEDOP_watchdog, 'arg'], 1, [0, 5]],
  ['sched_op', [abi.SCHEDOP_pin_override, 'arg'], -abi.EPERM],
  ['sched_op', [99, 'arg'], -abi.ENOSYS],
  ['sched_op_compat', [3, 0], -abi.ENOSYS],
  ['set_timer_op', [0], 0],
  // Events and grants: only the glue; the models have their own tests.
  ['event_channel_op', [abi.EVTCHNOP_send, WILD], -abi.EFAULT],
  ['event_channel_op', [abi.EVTCHNOP_send, 'arg'], -abi.EINVAL, [9]],
  ['event_channel_op', [abi.EVTCHNOP_init_control, 'arg'], -abi.EINVAL, [1n << 40n, 0, 0]],
  ['event_channel_op', [abi.EVTCHNOP_init_control, 'arg'], -abi.ENOENT, [0n, 0, 9]],
  ['event_channel_op', [abi.EVTCHNOP_expand_array, 'arg'], -abi.EOPNOTSUPP, [0n]],
  ['event_channel_op', [abi.EVTCHNOP_set_priority, 'arg'], -abi.ENOSYS, [0, 7]],
  ['event_channel_op', [abi.EVTCHNOP_reset_cont, 'arg'], -abi.EBUSY, [abi.DOMID_SELF]],
  ['event_channel_op', [99, 'arg'], -abi.ENOSYS],
  ['event_channel_op_compat', ['arg'], -abi.ENOSYS, [abi.EVTCHNOP_reset, 0]],
  ['event_channel_op_compat', ['arg'], -abi.EINVAL, [abi.EVTCHNOP_send, 9]],
  ['grant_table_op', [abi.GNTTABOP_query_size, 'arg', 2], -abi.EINVAL],
  ['grant_table_op', [abi.GNTTABOP_setup_table, 'arg', 0], -abi.EINVAL],
  ['grant_table_op', [abi.GNTTABOP_get_status_frames, 'arg', 2], -abi.EINVAL],
  ['grant_table_op', [abi.GNTTABOP_setup_table, 'arg', 1], -abi.EFAULT, [abi.DOMID_SELF, 1, 0, 0, XEN]],
  ['grant_table_op', [abi.GNTTABOP_set_version, 'arg', 1], 0, [2]],
  ['grant_table_op', [abi.GNTTABOP_set_version, 'arg', 7], -abi.EINVAL, [3]],
  ['grant_table_op', [abi.GNTTABOP_set_version, WILD, 1], -abi.EFAULT],
  ['grant_table_op', [abi.GNTTABOP_get_version, 'arg', 7], -abi.ESRCH, [77]],
  ['grant_table_op', [abi.GNTTABOP_dump_table, 'arg', 1], -abi.ENOSYS],
  ['grant_table_op', [abi.GNTTABOP_map_grant_ref, 'arg', 0], 0],
  ['grant_table_op', [abi.GNTTABOP_map_grant_ref, XEN, 0], -abi.EFAULT],
  ['grant_table_op', [abi.GNTTABOP_map_grant_ref, WILD, 1], -abi.EFAULT],
  ['grant_table_op', [abi.GNTTABOP_map_grant_ref, 'arg', 0x8000_0000], -abi.EINVAL],
  ['grant_table_op', [abi.GNTTABOP_map_grant_ref | 0x1000, 'arg', 1], -abi.EINVAL],
  ['grant_table_op', [abi.GNTTABOP_map_grant_ref, XEN, 1], -abi.EFAULT],
  ['grant_table_op', [99, 'arg', 1], -abi.ENOSYS],
  // Devices, of which there are none.
  ['physdev_op', [abi.PHYSDEVOP_set_iopl, 'arg'], 0, [1]],
  ['physdev_op', [abi.PHYSDEVOP_set_iopl, 'arg'], -abi.EINVAL, [4]],
  ['physdev_op', [abi.PHYSDEVOP_set_iobitmap, 'arg'], -abi.EINVAL, [0n, 65537]],
  ['physdev_op', [abi.PHYSDEVOP_get_free_pirq, 'arg'], 0, [0, 0]],
  ['physdev_op', [abi.PHYSDEVOP_eoi, 'arg'], -abi.EINVAL, [1]],
  ['physdev_op', [abi.PHYSDEVOP_apic_read, 'arg'], -abi.EPERM],
  ['physdev_op', [abi.PHYSDEVOP_pci_device_add, 'arg'], -abi.EPERM],
  ['physdev_op', [99, 'arg'], -abi.ENOSYS],
  ['multicall', [XEN, 1], -abi.EFAULT],
  ['memory_op', [99, 'arg'], -abi.ENOSYS],
];

const numberOf = (name: string): number => {
  for (const [number, hypercall] of HYPERCALLS) if (hypercall.name === name) return number;
  throw new Error(`no hypercall ${name}`);
};

describe('results of hypercalls', () => {
  it.each(rows.map((row) => [`${row[0]}(${row[1].join(', ')})`, row] as const))(
    '%s',
    (_, [name, args, result, words = []]) => {
      if (words.length > 0) host.poke(arg, ...words);
      expect(host.hypercall(numberOf(name), ...args.map((a) => (a === 'arg' ? arg : a)))).toBe(result);
      expect(host.domain.shutdownCode).toBeUndefined();
    },
  );

  it('unknown numbers are ENOSYS', () => {
    for (const number of [11, 43, 50, 55, 64, 0xffff_ffff]) {
      expect(host.hypercall(number)).toBe(-abi.ENOSYS);
    }
  });

  it('the table has every number of the header', () => {
    const missing = names.filter(([, number]) => !HYPERCALLS.has(number as number)).map(([name]) => name);
    expect(missing).toEqual([2, 3, 4, 5, 6, 7].map((n) => `__HYPERVISOR_arch_${n}`));
  });

  it('names sub-operations for traces', () => {
    const shown = (number: number, value: bigint) => firstArgument(HYPERCALLS.get(number)!, value);
    expect(shown(abi.__HYPERVISOR_vcpu_op, 1n)).toBe('VCPUOP_up');
    expect(shown(abi.__HYPERVISOR_memory_op, (5n << 6n) | 7n)).toBe('XENMEM_add_to_physmap');
    expect(shown(abi.__HYPERVISOR_vcpu_op, 99n)).toBe(99n);
    expect(shown(abi.__HYPERVISOR_mmu_update, 1n)).toBe(1n);
  });
});
