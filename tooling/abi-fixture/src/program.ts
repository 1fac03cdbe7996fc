import * as xenAbi from '@xenolith/xen-abi';
import { type Abi, type AnyLayout, isLayout, walkFields } from '@xenolith/xen-abi';

/** Headers that declare what xen-abi exports; errno.h is included apart. */
const headers = [
  'xen.h',
  'arch-x86/cpuid.h',
  'arch-x86/hvm/start_info.h',
  'callback.h',
  'elfnote.h',
  'event_channel.h',
  'features.h',
  'grant_table.h',
  'hvm/hvm_op.h',
  'hvm/hvm_vcpu.h',
  'hvm/params.h',
  'io/blkif.h',
  'io/console.h',
  'io/netif.h',
  'io/protocols.h',
  'io/ring.h',
  'io/xenbus.h',
  'io/xs_wire.h',
  'memory.h',
  'nmi.h',
  'physdev.h',
  'platform.h',
  'sched.h',
  'vcpu.h',
  'version.h',
];

/** Layouts whose C type is made by macro (`end`: the layout stops before that field) or is not in the headers. */
const probeTypes: Record<string, { cType: string; end?: string }> = {
  E820Entry: { cType: 'struct probe_e820' },
  SringHeader: { cType: 'struct probe_sring', end: 'ring' },
  FlexRingHeader: { cType: 'struct probe_data_intf', end: 'ref' },
};

/** Constants that have no name in the headers, or only for Xen itself (`__XEN__`). */
const expressions: Record<string, string> = {
  SRING_RING_OFFSET: 'offsetof(struct probe_sring, ring)',
  EVTCHNOP_reset_cont: '14',
};

/** A number that the compiler knows, and where it goes in the fixture. */
interface Probe {
  readonly expression: string;
  store(value: bigint): void;
}

/** The fixture's JSON. Constants are decimal text, because JSON has no 64-bit integers. */
export interface Fixture {
  readonly layouts: Record<string, FixtureLayout>;
  readonly constants?: Record<string, string>;
}

interface FixtureLayout {
  size: number;
  readonly fields: Record<string, { offset: number; size: number; signed?: boolean }>;
}

/** A C translation unit, and how to read the table of 64-bit numbers in its section {@link section}. */
export interface Program {
  readonly source: string;
  read(table: DataView): Fixture;
}

export const section = '.abi_probe';

function layoutProbes(name: string, layout: AnyLayout, abi: Abi, into: FixtureLayout): Probe[] {
  const probe = probeTypes[name];
  const cType = probe?.cType ?? layout.cType;
  if (cType === '') throw new Error(`${name} has no C type to compare with`);
  const size = probe?.end ? `offsetof(${cType}, ${probe.end})` : `sizeof(${cType})`;
  const probes: Probe[] = [
    {
      expression: size,
      store(v) {
        into.size = Number(v);
      },
    },
  ];
  for (const { path, kind } of walkFields(layout, abi)) {
    const member = `((${cType} *)0)->${path}`;
    const field: FixtureLayout['fields'][string] = { offset: 0, size: 0 };
    into.fields[path] = field;
    probes.push({
      expression: `offsetof(${cType}, ${path})`,
      store(v) {
        field.offset = Number(v);
      },
    });
    probes.push({
      expression: `sizeof(${member})`,
      store(v) {
        field.size = Number(v);
      },
    });
    if (kind === 'signed' || kind === 'unsigned') {
      const expression = `(__typeof__(${member}))-1 < (__typeof__(${member}))1`;
      probes.push({
        expression,
        store(v) {
          field.signed = v !== 0n;
        },
      });
    }
  }
  return probes;
}

function constantProbe(name: string, signed: boolean, into: Record<string, string>): Probe {
  const expression = expressions[name] ?? (name in xenAbi.errnos ? `XEN_${name}` : name);
  return {
    expression,
    store(v) {
      into[name] = String(signed ? v : BigInt.asUintN(64, v));
    },
  };
}

/** Everything that xen-abi declares for one ABI, as a question to a C compiler. */
export function program(abi: Abi): Program {
  const layouts: Record<string, FixtureLayout> = {};
  const constants: Record<string, string> = {};
  const probes: Probe[] = [];
  for (const [name, value] of Object.entries(xenAbi)) {
    if (isLayout(value) && (value.only ?? abi).name === abi.name) {
      const into: FixtureLayout = { size: 0, fields: {} };
      layouts[name] = into;
      probes.push(...layoutProbes(name, value, abi, into));
    }
    // Constants are those of 64-bit guests.
    if (abi.wordSize === 8 && (typeof value === 'number' || typeof value === 'bigint')) {
      probes.push(constantProbe(name, value < 0, constants));
    }
  }
  return {
    source: source(probes),
    read(table) {
      probes.forEach((probe, i) => {
        probe.store(table.getBigInt64(8 * i, true));
      });
      return abi.wordSize === 8 ? { layouts, constants } : { layouts };
    },
  };
}

function source(probes: readonly Probe[]): string {
  return `#include <stddef.h>
#include <stdint.h>
#define __XEN_TOOLS__ 1
${headers.map((h) => `#include <xen/${h}>`).join('\n')}

/* Some errnos are declared for the hypervisor's own side only. */
#define __XEN__ 1
#define XEN_ERRNO(name, value) XEN_##name = value,
enum {
#include <xen/errno.h>
};

DEFINE_RING_TYPES(probe, uint64_t, uint64_t);
DEFINE_XEN_FLEX_RING_AND_INTF(probe);
struct probe_e820 { uint64_t addr, size; uint32_t type; } __attribute__((packed));

__attribute__((used, section("${section}"))) const long long probes[] = {
${probes.map(({ expression }) => `  (long long)(${expression}),`).join('\n')}
};
`;
}
