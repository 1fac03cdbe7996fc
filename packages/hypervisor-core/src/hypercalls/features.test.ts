import * as abi from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { createNativeDomain } from '../domain/create.js';
import { DATA_PAGES, type TestHost, testHost } from '../testing/test-host.js';
import { type Feature, featureTable, featureText, listFeatures } from './features.js';

type Value = number | bigint;

/** Machine address of a linear address's L1 entry in the kernel's tables of `testHost`. */
const entryOf = (host: TestHost, page: number): bigint => BigInt(host.domain.p2m[19]! * 4096 + page * 8);
const frame = (host: TestHost, page: number): bigint => BigInt(host.frame(page));
/** A page that nothing maps, so that it may become anything. */
const freePage = (host: TestHost): bigint => BigInt(host.domain.p2m[40]!);

/** Where arguments lie, and what they point to. */
const argument = (host: TestHost): bigint => host.at(2);
const list = (host: TestHost): bigint => host.at(3);

/** A well-formed call: words at the argument, or the arguments themselves, after `before`. */
interface Sample {
  words?: (host: TestHost) => Value[];
  args?: (host: TestHost) => Value[];
  before?: (host: TestHost) => void;
}

const self = abi.DOMID_SELF;
const words = (...values: Value[]): Sample => ({ words: () => values });
const args = (...values: Value[]): Sample => ({ args: () => values });
const make = (host: TestHost, number: number, ...values: Value[]) =>
  expect(host.hypercall(number, ...values)).toBeGreaterThanOrEqual(0);

const reservation = (host: TestHost, mfn: Value): Value[] => [
  host.at(2, 32),
  1n,
  0,
  0,
  BigInt(self),
  BigInt(mfn),
];
const decrease: Sample = { words: (host) => reservation(host, freePage(host)) };
const afterDecrease: Sample = {
  before: (host) => {
    host.poke(argument(host), ...reservation(host, freePage(host)));
    make(host, abi.__HYPERVISOR_memory_op, abi.XENMEM_decrease_reservation, argument(host));
  },
  words: (host) => reservation(host, 40),
};
const bindIpi = (host: TestHost): number => host.hv.events.bindIpi(1, 0);
const onPort: Sample = { words: (host) => [bindIpi(host)] };
const useFifo = (host: TestHost): void => {
  host.poke(argument(host), frame(host, 5), 0n);
  make(host, abi.__HYPERVISOR_event_channel_op, abi.EVTCHNOP_init_control, argument(host));
};
const pinned = (level: number): Sample => ({ words: (host) => [level, 0, freePage(host)] });

/** For what is implemented, a call that must succeed; for what is refused, one that is right but for the caller. */
const SAMPLES: Record<string, Sample> = {
  set_trap_table: words(3, 0xe033 << 16, 0x1000n, 0n, 0n),
  set_gdt: { words: (host) => [freePage(host)], args: (host) => [argument(host), 512] },
  stack_switch: args(0xe02b, 0x1000n),
  set_callbacks: args(0x1000n, 0x1000n, 0n),
  fpu_taskswitch: args(0),
  set_debugreg: args(0, 0x1000n),
  get_debugreg: args(0),
  update_descriptor: { args: (host) => [frame(host, 5) << 12n, 0n] },
  multicall: { words: () => [17n, 0n, 0n, 0n, 0n, 0n, 0n, 0n], args: (host) => [argument(host), 1] },
  update_va_mapping: { args: (host) => [host.at(4), 0n, 0n] },
  update_va_mapping_otherdomain: { args: (host) => [host.at(4), 0n, 0n, self] },
  set_timer_op: args(0n),
  event_channel_op_compat: { words: (host) => [abi.EVTCHNOP_send, bindIpi(host)] },
  physdev_op_compat: words(abi.PHYSDEVOP_set_iopl, 1),
  platform_op: words(17, abi.XENPF_INTERFACE_VERSION),
  sysctl: words(1, 0x15),
  domctl: words(3, 0x15, 1n),
  dm_op: { words: (host) => [list(host), 16n], args: (host) => [0, 1, argument(host)] },
  xenoprof_op: { args: (host) => [0, argument(host)] },
  paging_domctl_cont: words(10, 0x15, 1n),
  CONSOLEIO_write: {},
  CONSOLEIO_read: {},
  MMU_NORMAL_PT_UPDATE: { words: (host) => [entryOf(host, 4), 0n] },
  MMU_MACHPHYS_UPDATE: { words: (host) => [(frame(host, 4) << 12n) | 1n, 4n] },
  MMU_PT_UPDATE_PRESERVE_AD: { words: (host) => [entryOf(host, 4) | 2n, 0n] },
  MMU_PT_UPDATE_NO_TRANSLATE: { words: (host) => [entryOf(host, 4) | 3n, 0n] },
  MMUEXT_PIN_L1_TABLE: pinned(0),
  MMUEXT_PIN_L2_TABLE: pinned(1),
  MMUEXT_PIN_L3_TABLE: pinned(2),
  MMUEXT_PIN_L4_TABLE: pinned(3),
  MMUEXT_UNPIN_TABLE: {
    before: (host) => expect(host.hv.memory.pin(host.vcpu, host.domain.p2m[40]!, 1)).toBe(0),
    words: (host) => [4, 0, freePage(host)],
  },
  MMUEXT_NEW_BASEPTR: { words: (host) => [5, 0, BigInt(host.domain.p2m[16]!)] },
  MMUEXT_NEW_USER_BASEPTR: { words: (host) => [15, 0, BigInt(host.domain.p2m[20]!)] },
  MMUEXT_INVLPG_LOCAL: { words: (host) => [7, 0, host.at(4)] },
  MMUEXT_INVLPG_ALL: { words: (host) => [11, 0, host.at(4)] },
  MMUEXT_INVLPG_MULTI: { words: (host) => [9, 0, host.at(4), list(host)] },
  MMUEXT_TLB_FLUSH_MULTI: { words: (host) => [8, 0, 0n, list(host)] },
  MMUEXT_CLEAR_PAGE: { words: (host) => [16, 0, frame(host, 4)] },
  MMUEXT_COPY_PAGE: { words: (host) => [17, 0, frame(host, 4), frame(host, 5)] },
  XENMEM_increase_reservation: afterDecrease,
  XENMEM_populate_physmap: afterDecrease,
  XENMEM_decrease_reservation: decrease,
  XENMEM_exchange: {
    words: (host) => {
      const side = (at: bigint): Value[] => [at, 1n, 0, 0, BigInt(self)];
      return [...side(host.at(2, 72)), ...side(host.at(2, 80)), 0n, freePage(host), 40n];
    },
  },
  XENMEM_current_reservation: words(self),
  XENMEM_maximum_reservation: words(self),
  XENMEM_maximum_gpfn: words(self),
  XENMEM_machphys_mfn_list: { words: (host) => [1, 0, list(host)] },
  XENMEM_memory_map: {
    before: (host) => {
      host.poke(argument(host), BigInt(self), 1n, list(host));
      make(host, abi.__HYPERVISOR_memory_op, abi.XENMEM_set_memory_map, argument(host));
    },
    words: (host) => [1, 0, list(host)],
  },
  XENMEM_set_memory_map: { words: (host) => [BigInt(self), 1n, list(host)] },
  XENMEM_add_to_physmap: words(self, 0, 0n, 5n),
  XENMEM_add_to_physmap_batch: words(BigInt(self)),
  XENMEM_remove_from_physmap: words(BigInt(self), 5n),
  XENMEM_set_pod_target: words(0n, 0n, 0n, 0n, self),
  XENMEM_get_pod_target: words(0n, 0n, 0n, 0n, self),
  XENMEM_get_vnumainfo: words(self),
  XENMEM_claim_pages: words(0n, 1n, 0, 0, 1),
  XENMEM_acquire_resource: words(1 | (1 << 16)),
  XENMEM_access_op: words(0),
  XENVER_pagesize: args(abi.XENVER_pagesize, 0),
  VCPUOP_initialise: {
    words: (host) => {
      const flags = abi.VGCF_in_kernel | abi.VGCF_online;
      host.machine.view.setBigUint64(
        host.frame(2) * 4096 + abi.VcpuGuestContext.offset.flags,
        BigInt(flags),
        true,
      );
      const cr3 = abi.VcpuGuestContext.offset.ctrlreg + 3 * 8;
      host.machine.view.setBigUint64(host.frame(2) * 4096 + cr3, BigInt(host.domain.p2m[16]!) << 12n, true);
      return [];
    },
    args: (host) => [abi.VCPUOP_initialise, 1, argument(host)],
  },
  VCPUOP_up: args(abi.VCPUOP_up, 0),
  VCPUOP_down: args(abi.VCPUOP_down, 1),
  VCPUOP_set_periodic_timer: words(1_000_000n),
  VCPUOP_set_singleshot_timer: words(5_000n, 0n),
  VCPUOP_register_vcpu_info: { words: (host) => [frame(host, 5), 0n] },
  VCPUOP_register_runstate_memory_area: { words: (host) => [host.at(5)] },
  VCPUOP_register_vcpu_time_memory_area: { words: (host) => [host.at(5)] },
  VCPUOP_send_nmi: args(abi.VCPUOP_send_nmi, 0, 0),
  SCHEDOP_poll: { words: (host) => [list(host), 0, 0, 1n] },
  SCHEDOP_remote_shutdown: words(1, 0),
  SCHEDOP_watchdog: words(0, 5),
  CALLBACKOP_register: words(0, 0, 0x1000n),
  CALLBACKOP_unregister: words(abi.CALLBACKTYPE_nmi),
  EVTCHNOP_bind_interdomain: {
    words: (host) => [self, host.hv.events.allocUnbound(1, self, self), 0],
  },
  EVTCHNOP_bind_virq: words(abi.VIRQ_DEBUG, 0),
  EVTCHNOP_close: onPort,
  EVTCHNOP_send: onPort,
  EVTCHNOP_unmask: onPort,
  EVTCHNOP_status: { words: (host) => [self, bindIpi(host)] },
  EVTCHNOP_bind_vcpu: {
    words: (host) => [host.hv.events.allocUnbound(1, self, self), 1],
  },
  EVTCHNOP_alloc_unbound: words(self | (self << 16)),
  EVTCHNOP_reset: words(self),
  EVTCHNOP_init_control: { words: (host) => [frame(host, 5), 0n] },
  EVTCHNOP_expand_array: { before: useFifo, words: (host) => [frame(host, 6)] },
  EVTCHNOP_set_priority: { before: useFifo, words: (host) => [bindIpi(host), 7] },
  EVTCHNOP_reset_cont: words(self),
  PHYSDEVOP_map_pirq: words(self, abi.MAP_PIRQ_TYPE_GSI),
  PHYSDEVOP_unmap_pirq: words(self),
  PHYSDEVOP_pirq_eoi_gmfn_v1: { words: (host) => [frame(host, 5)] },
  PHYSDEVOP_pirq_eoi_gmfn_v2: { words: (host) => [frame(host, 5)] },
  PHYSDEVOP_eoi: {
    before: (host) => make(host, abi.__HYPERVISOR_physdev_op, abi.PHYSDEVOP_get_free_pirq, argument(host)),
    words: () => [55],
  },
  PHYSDEVOP_get_free_pirq: words(abi.MAP_PIRQ_TYPE_MSI, 0),
  GNTTABOP_setup_table: { words: (host) => [self, 1, 0n, list(host)] },
  GNTTABOP_query_size: words(self),
  GNTTABOP_set_version: words(1),
  GNTTABOP_get_version: words(self),
  HVMOP_set_param: words(self),
  HVMOP_get_param: words(self),
  HVMOP_pagetable_dying: words(self),
  HVMOP_get_mem_type: words(self),
  HVMOP_guest_request_vm_event: args(abi.HVMOP_guest_request_vm_event, 0n),
};

/** The arguments of a call of one feature, where its sample does not give them. */
function argumentsOf({ hypercall, operation, operationNumber }: Feature, host: TestHost): Value[] {
  const at = argument(host);
  switch (hypercall) {
    case 'mmu_update':
    case 'mmuext_op':
      if (!SAMPLES[operation!]?.words) host.poke(at, operationNumber!, 0, 0n, 0n);
      return [at, 1, 0n, self];
    case 'vcpu_op':
      return [operationNumber!, 0, at];
    case 'console_io':
      return [operationNumber!, 1, at];
    case 'vm_assist':
      return [operationNumber!, abi.VMASST_TYPE_writable_pagetables];
    case 'set_segment_base':
      return [operationNumber!, 0n];
    default:
      return operation ? [operationNumber!, at, 1] : [at];
  }
}

function call(feature: Feature): number {
  const settings = feature.hypercall === 'console_io' ? { consoleIo: () => {} } : {};
  const host = testHost({}, { vcpus: 2, ...settings });
  createNativeDomain(host.hv, { domid: 0, onEvent() {} });
  const { before, words: inMemory, args: direct } = SAMPLES[feature.operation ?? feature.hypercall] ?? {};
  before?.(host);
  const filled = inMemory?.(host) ?? [];
  if (filled.length > 0) host.poke(argument(host), ...filled);
  return host.hypercall(feature.number, ...(direct?.(host) ?? argumentsOf(feature, host)));
}

const features = listFeatures();
const title = (feature: Feature) => [feature.operation ?? feature.hypercall, feature] as const;
/** It does not return to its caller. */
const isIret = ({ hypercall }: Feature) => hypercall === 'iret';

describe('the feature list tells the truth', () => {
  it.each(features.filter((f) => f.answer === 'implemented' && !isIret(f)).map(title))(
    '%s works',
    (_, feature) => {
      expect(call(feature)).toBeGreaterThanOrEqual(0);
    },
  );

  it.each(features.filter(({ answer }) => answer !== 'implemented').map(title))(
    '%s is refused',
    (_, feature) => {
      expect(abi.errnoName(call(feature))).toBe(feature.answer);
    },
  );

  it('has a row for every number of the header, by prefix', () => {
    const listed = new Set(features.map(({ operation }) => operation));
    const prefixes = [...listed].flatMap((name) => (name ? [name.slice(0, name.indexOf('_') + 1)] : []));
    const elsewhere =
      /^XENMEM_(resource|RDM)|^MMU_UPDATE|^PHYSDEVOP_(DBGP|pirq_eoi_gmfn$)|^HVMOP_[gs]et_mem_access|^VMASST_TYPE/;
    const missing = Object.entries(abi).filter(
      ([name, value]) =>
        typeof value === 'number' &&
        [...new Set(prefixes)].some((prefix) => name.startsWith(prefix)) &&
        !listed.has(name) &&
        !elsewhere.test(name),
    );
    expect(missing.map(([name]) => name)).toEqual([]);
  });

  it('samples are of rows that exist', () => {
    const names = new Set(features.map((feature) => feature.operation ?? feature.hypercall));
    expect(Object.keys(SAMPLES).filter((name) => !names.has(name))).toEqual([]);
    expect(DATA_PAGES).toBeLessThan(40);
  });
});

describe('the feature list in words', () => {
  it('is the table of HYPERCALLS.md (npx vitest -u makes it anew)', async () => {
    const page = `# Hypercalls\n\nWhat a 64-bit PV domU gets of each, in Xen 4.17's terms. Made from the table \`HYPERCALLS\`, as is \`xenolith features\`.\n\n${featureTable()}`;
    await expect(page).toMatchFileSnapshot('../../HYPERCALLS.md');
  });

  it('is columns of text', () => {
    const lines = featureText().trimEnd().split('\n');
    expect(lines).toHaveLength(features.length);
    expect(lines.find((line) => line.includes('VCPUOP_get_physid'))).toMatch(
      /^vcpu_op 24 +VCPUOP_get_physid 12 +EINVAL +not for a domU$/,
    );
  });
});
