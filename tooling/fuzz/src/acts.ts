import * as abi from '@xenolith/xen-abi';
import {
  address,
  call,
  frame,
  load,
  number,
  type Operand,
  type Operation,
  result,
  store,
  time,
} from './program.js';
import type { Random } from './random.js';
import {
  anyAddress,
  anyDomid,
  anyFrame,
  anyNumber,
  anyPort,
  anyWord,
  pageTableEntry,
  playPage,
} from './values.js';

/** What guests do without hypercalls, or with several that belong together. */
export type Act = (r: Random) => Operation[];

const FLUSH = abi.UVMF_INVLPG;
const remap = (page: number, flags: bigint): Operation =>
  call(
    abi.__HYPERVISOR_update_va_mapping,
    address('arena', page * 4096),
    { kind: 'machine', place: 'arena', value: BigInt(page * 4096) + flags },
    number(FLUSH),
  );
const mmuext = (command: number, arg1: Operand, arg2: Operand = number(0)): Operation[] => [
  store(address('arena'), 8, number(command), arg1, arg2),
  call(abi.__HYPERVISOR_mmuext_op, address('arena'), number(1), number(0), number(abi.DOMID_SELF)),
];
const READ_ONLY = 5n;
const WRITABLE = 7n;

/** Memory that Xen does not watch, or that it does. */
export const writeAnywhere: Act = (r) => {
  const size = r.pick([1, 2, 4, 8, 8] as const);
  return [store(anyAddress(r), size, ...Array.from({ length: 1 + r.below(4) }, () => anyWord(r)))];
};

/** An entry of an L1 table that is mapped read-only is written as if it were memory: whole, in parts, misaligned. */
export const writePageTable: Act = (r) => {
  const table = r.oneIn(3)
    ? address('tables', (3 + r.below(2)) * 4096)
    : address('arena', playPage(r) * 4096);
  // Of the tables that we live on, only what maps the pages to play with can be spared: the guest asks for those by slot.
  const at = { ...table, value: table.value + BigInt(r.below(512) * 8 + (r.oneIn(6) ? r.below(8) : 0)) };
  return [store(at, r.pick([1, 2, 4, 8, 8, 8] as const), pageTableEntry(r))];
};

/** A page is filled with entries, mapped read-only, and used as a table. */
export const makeTable: Act = (r) => {
  const page = playPage(r);
  const entries = Array.from({ length: 1 + r.below(6) }, () =>
    store(address('arena', page * 4096 + r.below(512) * 8), 8, pageTableEntry(r)),
  );
  const level = r.weighted([
    [5, abi.MMUEXT_PIN_L1_TABLE],
    [2, abi.MMUEXT_PIN_L2_TABLE],
    [1, abi.MMUEXT_PIN_L3_TABLE],
    [1, abi.MMUEXT_PIN_L4_TABLE],
  ]);
  return [
    remap(page, WRITABLE),
    ...(r.oneIn(2)
      ? [store(address('arena', page * 4096), 8, ...Array.from({ length: 200 }, () => number(0)))]
      : []),
    ...entries,
    ...(r.oneIn(8) ? [] : [remap(page, READ_ONLY)]),
    ...mmuext(level, frame('arena', page)),
  ];
};

/** Tables that name tables: L2 to L1, L3 to L2, L4 to L3, or the same level (linear). */
export const linkTables: Act = (r) => {
  const [lower, upper] = [playPage(r), playPage(r)];
  const level = 1 + r.below(4);
  const entry = {
    kind: 'machine',
    place: 'arena',
    value: BigInt(lower * 4096) + r.pick([READ_ONLY, WRITABLE]),
  } as const;
  return [
    ...mmuext(abi.MMUEXT_PIN_L1_TABLE + level - 1, frame('arena', lower)),
    remap(upper, WRITABLE),
    store(address('arena', upper * 4096 + r.below(512) * 8), 8, entry),
    remap(upper, READ_ONLY),
    ...mmuext(abi.MMUEXT_PIN_L1_TABLE + (r.oneIn(3) ? level - 1 : Math.min(level, 3)), frame('arena', upper)),
  ];
};

export const unpin: Act = (r) => {
  const page = playPage(r);
  return [
    ...mmuext(abi.MMUEXT_UNPIN_TABLE, frame('arena', page)),
    ...(r.oneIn(2) ? [remap(page, WRITABLE)] : []),
  ];
};

/** A root table of our own, with the entries that the kernel lives on; then life goes on upon it. */
export const newRoot: Act = (r) => {
  const page = playPage(r);
  const copy = [0, 256, 511].flatMap((entry) => [
    load(address('tables', entry * 8)),
    store(address('arena', page * 4096 + entry * 8), 8, result),
  ]);
  const user = r.oneIn(2);
  return [
    remap(page, WRITABLE),
    store(address('arena', page * 4096), 8, ...Array.from({ length: 30 }, () => number(0))),
    ...copy,
    remap(page, READ_ONLY),
    ...mmuext(user ? abi.MMUEXT_NEW_USER_BASEPTR : abi.MMUEXT_NEW_BASEPTR, frame('arena', page)),
  ];
};

export const baseOfUserMode: Act = (r) =>
  mmuext(abi.MMUEXT_NEW_USER_BASEPTR, r.oneIn(4) ? anyFrame(r) : frame('tables', 0));

/** An entry of the grant table as a guest writes it, version 1 or 2. */
export const grantEntry: Act = (r) => {
  const flags = r.oneIn(4) ? r.below(0x1_0000) : r.below(4) | (r.below(64) << 3);
  const reference = r.below(32);
  const frameNumber = anyFrame(r);
  if (r.oneIn(2)) {
    const at = reference * 8;
    return [
      store(address('grants', at + 2), 2, anyDomid(r)),
      store(address('grants', at + 4), 4, frameNumber),
      store(address('grants', at), 2, number(flags)),
    ];
  }
  const at = reference * 16;
  return [
    store(address('grants', at + 2), 2, anyDomid(r)),
    store(address('grants', at + 4), 2, number(r.below(4200)), number(r.below(4200))),
    store(address('grants', at + 8), 8, frameNumber),
    store(address('grants', at), 2, number(flags)),
  ];
};

/** A grant to ourselves is made, and mapped, and perhaps what it gave is taken away. */
export const grantToSelf: Act = (r) => {
  const reference = 8 + r.below(24);
  const page = playPage(r);
  const window = playPage(r);
  return [
    store(address('grants', reference * 8 + 2), 2, { kind: 'domid', value: BigInt(r.pick([0, 2, 2])) }),
    store(address('grants', reference * 8 + 4), 4, frame('arena', page)),
    store(address('grants', reference * 8), 2, number(r.oneIn(3) ? 5 : 1)),
    store(address('arena'), 8, address('arena', window * 4096)),
    store(address('arena', 8), 4, number(r.pick([2, 6, 3, 18, 10])), number(reference)),
    store(address('arena', 16), 2, { kind: 'domid', value: BigInt(r.pick([0, 2, 2])) }),
    call(abi.__HYPERVISOR_grant_table_op, number(abi.GNTTABOP_map_grant_ref), address('arena'), number(1)),
  ];
};

/** Offsets of the four indices of a ring page (io/console.h, io/xs_wire.h): the console's, and xenstore's. */
const INDICES = { console: 3072, store: 2048 } as const;

/** A ring page with indices and bytes of any kind, and a knock on its door. */
export const wildRing: Act = (r) => {
  const ring = r.pick(['console', 'store'] as const);
  const index = address(ring, INDICES[ring] + r.below(4) * 4);
  const value = number(r.oneIn(2) ? anyNumber(r) : r.pick([0, 1, 1023, 1024, 1025, 2048, 0xffff_ffff]));
  return [
    ...(r.oneIn(2)
      ? [store(address(ring, r.below(4090)), 8, ...Array.from({ length: 1 + r.below(8) }, () => anyWord(r)))]
      : []),
    store(index, 4, value),
    ...notify(r),
  ];
};

/** EVTCHNOP_send to the ports that a guest starts with, or any. */
function notify(r: Random): Operation[] {
  return [
    store(address('arena'), 4, r.oneIn(6) ? anyPort(r) : number(1 + r.below(2))),
    call(abi.__HYPERVISOR_event_channel_op, number(abi.EVTCHNOP_send), address('arena')),
  ];
}

const PATHS = [
  '/',
  '',
  'name',
  'data',
  'data/x',
  '/local/domain/0',
  '/local/domain',
  '@releaseDomain',
  '@introduceDomain',
  '/vm',
  'device/vif/0',
  '//',
  '/local/domain/1/data',
  'a/../b',
  `${'x/'.repeat(200)}y`,
];

/** A request to xenstore: nearly right, with a body of a path and something. */
export const xenstoreRequest: Act = (r) => {
  const path = r.pick(PATHS);
  const tail = r.pick([
    '',
    'token',
    '\0token\0',
    'r0',
    `n0\0r${r.below(4)}\0`,
    'T',
    'F',
    '\0'.repeat(20),
    '1',
  ]);
  const text = `${path}${r.oneIn(6) ? '' : '\0'}${tail}${r.oneIn(2) ? '\0' : ''}`;
  const body = [...text].map((c) => c.charCodeAt(0));
  const length = r.oneIn(12) ? r.u32() : r.oneIn(8) ? r.below(4200) : body.length;
  const transaction = r.oneIn(2) ? 0 : r.below(8);
  const header = [r.oneIn(12) ? r.u32() : r.below(28), r.below(8), transaction, length];
  const bytes = new Uint8Array(Math.ceil((16 + body.length) / 8) * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of header.entries()) view.setUint32(i * 4, word >>> 0, true);
  bytes.set(body, 16);
  const words = Array.from({ length: bytes.length / 8 }, (_, i) => number(view.getBigUint64(i * 8, true)));
  const indices = INDICES.store;
  return [
    // Both directions are empty, whatever they were; then this request is in the ring.
    store(address('store', indices), 4, number(0), number(0), ...(r.oneIn(2) ? [number(0), number(0)] : [])),
    store(address('store'), 8, ...words),
    store(address('store', indices + 4), 4, number(r.oneIn(12) ? r.below(2048) : 16 + body.length)),
    ...notify(r),
  ];
};

/** Sleeps for a moment: others run, timers fire, xenstore answers. */
export const rest: Act = (r) => [
  store(address('arena'), 8, number(0), number(0), time(r.below(200_000))),
  call(
    abi.__HYPERVISOR_sched_op,
    number(r.oneIn(4) ? abi.SCHEDOP_yield : abi.SCHEDOP_poll),
    address('arena'),
  ),
];

/** The masks of events, and what else Xen shares. */
export const sharedInfo: Act = (r) =>
  r.oneIn(2)
    ? [store(address('sharedInfo', 1), 1, number(0))]
    : [store(address('sharedInfo', r.below(4096)), r.pick([1, 4, 8] as const), anyWord(r))];

/** Everything that a page was used for is tried to be put back: programs get further so. */
export const putBack: Act = (r) => {
  const page = playPage(r);
  return [...mmuext(abi.MMUEXT_UNPIN_TABLE, frame('arena', page)), remap(page, WRITABLE)];
};
