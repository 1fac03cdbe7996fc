import { HYPERCALLS, type Hypercall } from '@xenolith/hypervisor-core';
import * as abi from '@xenolith/xen-abi';
import { address, call, number, type Operand, type Operation, repair, slot, store } from './program.js';
import type { Random } from './random.js';
import { fillLists, layOut, pointer } from './structures.js';
import {
  anyAddress,
  anyDomid,
  anyFrame,
  anyNumber,
  anyTime,
  anyWord,
  pageTableEntry,
  playPage,
  wildAddress,
} from './values.js';

/** One hypercall with what must be laid out for it first. */
interface PreparedCall {
  readonly before: readonly Operation[];
  readonly hypercall: Operand;
  readonly args: readonly Operand[];
  /** It may leave the interpreter without handlers. */
  readonly needsRepair: boolean;
}

/** Where arguments of single calls begin in the arena, and where the entries of a multicall lie. */
const ARGUMENTS = 0;
const MULTICALL = 4 * 4096;

/** How often a hypercall is made; 1 for all others. */
const WEIGHTS: Readonly<Record<string, number>> = {
  mmu_update: 24,
  mmuext_op: 16,
  memory_op: 14,
  grant_table_op: 14,
  update_va_mapping: 12,
  event_channel_op: 10,
  sched_op: 4,
  vcpu_op: 5,
  set_gdt: 3,
  update_descriptor: 4,
  multicall: 4,
  callback_op: 2,
  physdev_op: 2,
};

/** These end the guest, or a vCPU, so they are made rarely: what follows them is not run. */
const FINAL = new Set(['SCHEDOP_shutdown', 'SCHEDOP_block', 'SCHEDOP_watchdog', 'VCPUOP_down', 'iret']);
const CHANGES_HANDLERS = new Set([
  'set_trap_table',
  'set_callbacks',
  'callback_op',
  'stack_switch',
  'nmi_op',
]);

const words = (r: Random, n: number): Operand[] => Array.from({ length: n }, () => anyWord(r));
const times = <T>(n: number, make: () => T): T[] => Array.from({ length: n }, make);

const small = (r: Random): Operand => number(r.oneIn(8) ? anyNumber(r) : r.below(16));
const laidOut = (r: Random): Operand => (r.oneIn(16) ? pointer(r) : address('arena', ARGUMENTS));

/** What an argument of this name holds (`Hypercall.args`). */
const BY_NAME: Readonly<Record<string, (r: Random) => Operand>> = {
  vcpu: (r) => number(r.oneIn(16) ? anyNumber(r) : r.below(5)),
  va: (r) => (r.oneIn(12) ? wildAddress(r) : address('arena', playPage(r) * 4096)),
  flags: (r) => (r.oneIn(12) ? anyAddress(r) : number(r.below(8))),
  domid: (r) => (r.oneIn(6) ? anyDomid(r) : number(abi.DOMID_SELF)),
  done: (r) => (r.oneIn(3) ? pointer(r) : number(0)),
  entries: (r) => number(r.oneIn(8) ? anyNumber(r) : r.below(8192)),
  frames: pointer,
  address: (r) => tableEntry(r, 0),
  descriptor: anyWord,
  timeout: anyTime,
  base: anyAddress,
  sp: anyAddress,
  event: anyAddress,
  failsafe: anyAddress,
  syscall: anyAddress,
  register: small,
  type: small,
  set: small,
  ss: small,
};

/** An entry of a page that may be a page table. */
function tableEntry(r: Random, kind: number): Operand {
  if (r.oneIn(2)) return slot(playPage(r), kind);
  const at = BigInt(r.below(512) * 8 + kind);
  return r.oneIn(8)
    ? { kind: 'machine', place: 'tables', value: BigInt(r.below(5) * 4096) + at }
    : { kind: 'machine', place: 'arena', value: BigInt(playPage(r) * 4096) + at };
}

/** One request of mmu_update: pointer with a kind in its low bits, and value. */
function mmuRequest(r: Random): Operand[] {
  const kind = r.pick([0, 0, 0, 0, 2, 2, 1, 3]);
  if (kind !== 1) return [tableEntry(r, kind), pageTableEntry(r)];
  return [{ kind: 'machine', place: 'arena', value: BigInt(playPage(r) * 4096 + 1) }, number(r.below(2048))];
}

const TAKE_ADDRESS: readonly number[] = [
  abi.MMUEXT_INVLPG_LOCAL,
  abi.MMUEXT_INVLPG_MULTI,
  abi.MMUEXT_INVLPG_ALL,
  abi.MMUEXT_SET_LDT,
];
/** A root table of random contents maps no kernel: `newRoot` of acts.ts makes one that does. */
const NEW_ROOT: readonly number[] = [abi.MMUEXT_NEW_BASEPTR];

function mmuextRequest(r: Random): Operand[] {
  let command = r.oneIn(16) ? anyNumber(r) : BigInt(r.below(22));
  if (NEW_ROOT.includes(Number(command)) && !r.oneIn(8)) command = BigInt(abi.MMUEXT_PIN_L1_TABLE);
  const takesAddress = TAKE_ADDRESS.includes(Number(command));
  const second = r.oneIn(2) ? number(anyNumber(r)) : r.oneIn(2) ? anyFrame(r) : pointer(r);
  return [number(command), takesAddress ? anyAddress(r) : anyFrame(r), second];
}

interface Argument {
  readonly command: bigint;
  readonly name: string;
  readonly count: number;
  readonly before: readonly Operation[];
}

/** Picks a sub-operation, and lays out its structure (or a list of them). */
function subOperation(r: Random, { name, args, operations }: Hypercall): Argument {
  if (name === 'mmu_update' || name === 'mmuext_op') {
    const requests = times(1 + r.below(5), () => (name === 'mmu_update' ? mmuRequest(r) : mmuextRequest(r)));
    const before = requests.map((values, i) =>
      store(address('arena', ARGUMENTS + i * values.length * 8), 8, ...values),
    );
    return { command: 0n, name, count: requests.length, before };
  }
  const lists = r.oneIn(2) ? [fillLists(r)] : [];
  const command = operations && !r.oneIn(12) ? BigInt(r.pick([...operations.values()]).number) : anyNumber(r);
  const row = operations?.get(Number(BigInt.asUintN(32, command)));
  const count = args.includes('count') ? 1 + r.below(3) : 1;
  const fields = row?.argument
    ? layOut(r, row.argument, ARGUMENTS, count)
    : [store(address('arena', ARGUMENTS), 8, ...words(r, 8))];
  return { command, name: row?.name ?? name, count, before: [...lists, ...fields] };
}

function prepareRow(r: Random, op: number, row: Hypercall): PreparedCall {
  const { command, name, count, before } = subOperation(r, row);
  if (FINAL.has(name) && !r.oneIn(64)) return prepare(r);
  const args = row.args.map((arg) => {
    if (r.oneIn(48)) return anyWord(r);
    if (arg === 'cmd' || arg === 'which') return number(command);
    if (arg === 'count') return number(r.oneIn(24) ? anyNumber(r) : count);
    if (arg === 'value' && row.name.startsWith('update_va')) return pageTableEntry(r);
    return (BY_NAME[arg] ?? laidOut)(r);
  });
  return { before, hypercall: number(op), args, needsRepair: CHANGES_HANDLERS.has(row.name) };
}

const ROWS = [...HYPERCALLS]
  .filter(([, { name }]) => name !== 'multicall')
  .map(([op, row]) => [WEIGHTS[row.name] ?? 1, [op, row]] as const);

function prepare(r: Random): PreparedCall {
  if (r.oneIn(48)) {
    const op = r.oneIn(2) ? BigInt(r.below(64)) : anyNumber(r);
    const isFinal = [BigInt(abi.__HYPERVISOR_sched_op), BigInt(abi.__HYPERVISOR_iret)].includes(
      op & 0xffff_ffffn,
    );
    if (!isFinal) return { before: [], hypercall: number(op), args: words(r, 6), needsRepair: true };
  }
  const [op, row] = r.weighted(ROWS);
  return prepareRow(r, op, row);
}

const repairs = (r: Random, calls: readonly PreparedCall[]): Operation[] =>
  calls.some(({ needsRepair }) => needsRepair) && !r.oneIn(32) ? [repair] : [];

export function hypercall(r: Random): Operation[] {
  const prepared = prepare(r);
  return [...prepared.before, call(prepared.hypercall, ...prepared.args), ...repairs(r, [prepared])];
}

/** A multicall: its calls share the argument pages, as hostile ones would. */
export function multicall(r: Random): Operation[] {
  const calls = times(1 + r.below(5), () => prepare(r));
  const entries = calls.map(({ hypercall: op, args }, i) => {
    const padded = Array.from({ length: 6 }, (_, n) => args[n] ?? number(0));
    return store(address('arena', MULTICALL + i * abi.MulticallEntry.size), 8, op, number(0), ...padded);
  });
  const list = r.oneIn(16) ? anyAddress(r) : address('arena', MULTICALL);
  const count = number(r.oneIn(24) ? anyNumber(r) : calls.length);
  return [
    ...calls.flatMap(({ before }) => before),
    ...entries,
    call(abi.__HYPERVISOR_multicall, list, count),
    ...repairs(r, calls),
  ];
}
