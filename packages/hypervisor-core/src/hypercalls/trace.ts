import {
  __HYPERVISOR_grant_table_op,
  __HYPERVISOR_mmu_update,
  __HYPERVISOR_mmuext_op,
  type AnyLayout,
  MmuextOp,
  MmuUpdate,
  walkFields,
} from '@xenolith/xen-abi';
import type { Vcpu } from '../domain/vcpu.js';
import type { Hypervisor } from '../hypervisor.js';
import { HYPERCALLS, type Hypercall, type SubOperations } from './table.js';

/** Bits of argument 0 that say which sub-operation; memory_op has a start extent above its six. */
const commandOf = ({ prefix }: SubOperations, value: bigint): number =>
  Number(prefix === 'XENMEM_' ? value & 0x3fn : BigInt.asUintN(32, value));

/** Where the sub-operation is argument 0 and not part of a list in memory. */
const hasCommand = ({ args }: Hypercall): boolean => args[0] === 'cmd' || args[0] === 'which';

/** Argument 0 as it is to be shown: the name of a sub-operation, or the value. */
export function firstArgument(hypercall: Hypercall, value: bigint): string | bigint {
  const { operations } = hypercall;
  if (!operations || !hasCommand(hypercall)) return value;
  return operations.get(commandOf(operations, value))?.name ?? value;
}

const SHOWN_KINDS: ReadonlySet<string> = new Set(['unsigned', 'signed', 'handle']);
/** Fields of more would not fit a line. */
const SHOWN_FIELDS = 10;

/** The numbers in a structure of the guest's, as they are after the call; undefined: not readable, or too many. */
function structFields(
  hv: Hypervisor,
  layout: AnyLayout,
  address: bigint,
): Record<string, bigint> | undefined {
  const fields = shownFields(layout);
  if (fields.length === 0 || fields.length > SHOWN_FIELDS) return undefined;
  const bytes = hv.access.copyFrom(address, layout.size);
  if (!bytes) return undefined;
  const number = (offset: number, size: number): bigint =>
    bytes.subarray(offset, offset + size).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return Object.fromEntries(fields.map(({ path, offset, size }) => [path, number(offset, size)]));
}

/** Its numbers; of a union's members the widest one, under the union's name. */
function shownFields(layout: AnyLayout): { path: string; offset: number; size: number }[] {
  const shown = new Map<number, { path: string; offset: number; size: number }>();
  for (const { path, kind, offset, size } of walkFields(layout)) {
    if (!SHOWN_KINDS.has(kind) || size > 8) continue;
    const other = shown.get(offset);
    shown.set(
      offset,
      other
        ? { path: path.slice(0, path.lastIndexOf('.')), offset, size: Math.max(size, other.size) }
        : { path, offset, size },
    );
  }
  return [...shown.values()];
}

/** The bit above says that the call is being continued. */
const COUNT_MASK = 0x7fff_ffffn;
/** As many elements of a list are shown. */
const SHOWN_ELEMENTS = 4;

/** What the elements of a hypercall's list are, and the name of what one asks for. */
interface List {
  readonly layout: AnyLayout;
  readonly nameOf?: (fields: Record<string, bigint>) => string | undefined;
}

/** MMU_* stands in the lowest bits of the address. */
const MMU_COMMAND = 7n;

function listOf(number: number, hypercall: Hypercall, args: readonly bigint[]): List | undefined {
  const { operations } = hypercall;
  const name = (command: bigint | undefined) => operations?.get(Number(command))?.name;
  switch (number) {
    case __HYPERVISOR_mmu_update:
      return { layout: MmuUpdate, nameOf: ({ ptr = 0n }) => name(ptr & MMU_COMMAND) };
    case __HYPERVISOR_mmuext_op:
      return { layout: MmuextOp, nameOf: ({ cmd }) => name(cmd) };
    case __HYPERVISOR_grant_table_op: {
      const layout = operations?.get(commandOf(operations, args[0]!))?.argument;
      return layout && { layout };
    }
    default:
      return undefined;
  }
}

/** The first elements of a list in the guest's memory; undefined: not even the first is readable. */
function listText(
  hv: Hypervisor,
  { layout, nameOf }: List,
  address: bigint,
  count: number,
): string | undefined {
  const shown: string[] = [];
  for (let i = 0; i < Math.min(count, SHOWN_ELEMENTS); i++) {
    const fields = structFields(hv, layout, BigInt.asUintN(64, address + BigInt(i * layout.size)));
    if (!fields) break;
    const name = nameOf?.(fields);
    const numbers = Object.entries(fields)
      .filter(([field]) => name === undefined || field !== 'cmd')
      .map(([field, value]) => `${field}=${value < 10n ? value : `0x${value.toString(16)}`}`);
    shown.push(`{${[...(name === undefined ? [] : [name]), ...numbers].join(' ')}}`);
  }
  if (shown.length === 0) return count === 0 ? '[]' : undefined;
  return `[${shown.join(', ')}${count > shown.length ? `, ${count - shown.length} more` : ''}]`;
}

/** Tells the trace of a hypercall that was made: names and numbers instead of pointers. */
export function traceHypercall(
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
  const list = hypercall && listOf(number, hypercall, args);
  names.forEach((name, i) => {
    const value = args[i]!;
    // A list's count follows it.
    const count = Number(args[i + 1]! & COUNT_MASK);
    if (list && names[i + 1] === 'count') decoded[name] = listText(hv, list, value, count) ?? value;
    else if (name === 'arg' && hypercall?.operations) {
      const layout = hypercall.operations.get(commandOf(hypercall.operations, args[0]!))?.argument;
      Object.assign(decoded, (layout && structFields(hv, layout, value)) ?? { arg: value });
    } else decoded[name] = i === 0 && hypercall ? firstArgument(hypercall, value) : value;
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
