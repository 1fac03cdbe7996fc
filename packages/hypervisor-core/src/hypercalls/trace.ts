import { type AnyLayout, walkFields } from '@xenolith/xen-abi';
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
  const fields = [...walkFields(layout)].filter(({ kind, size }) => SHOWN_KINDS.has(kind) && size <= 8);
  if (fields.length === 0 || fields.length > SHOWN_FIELDS) return undefined;
  const bytes = hv.access.copyFrom(address, layout.size);
  if (!bytes) return undefined;
  const number = (offset: number, size: number): bigint =>
    bytes.subarray(offset, offset + size).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return Object.fromEntries(fields.map(({ path, offset, size }) => [path, number(offset, size)]));
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
  names.forEach((name, i) => {
    const value = args[i]!;
    if (name === 'arg' && hypercall?.operations) {
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
