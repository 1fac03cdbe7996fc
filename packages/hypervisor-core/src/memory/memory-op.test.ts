import {
  DOMID_SELF,
  EACCES,
  EFAULT,
  EINVAL,
  ENOMEM,
  ENOSYS,
  EPERM,
  ESRCH,
  XENMAPSPACE_shared_info,
  XENMEM_acquire_resource,
  XENMEM_add_to_physmap,
  XENMEM_claim_pages,
  XENMEM_current_reservation,
  XENMEM_decrease_reservation,
  XENMEM_exchange,
  XENMEM_increase_reservation,
  XENMEM_machphys_mapping,
  XENMEM_machphys_mfn_list,
  XENMEM_maximum_gpfn,
  XENMEM_maximum_ram_page,
  XENMEM_maximum_reservation,
  XENMEM_memory_map,
  XENMEM_populate_physmap,
  XenAddToPhysmap,
  XenMachphysMapping,
  XenMachphysMfnList,
  XenMemoryDomain,
  XenMemoryExchange,
  XenMemoryMap,
  XenMemoryReservation,
} from '@xenolith/xen-abi';
import { beforeEach, describe, expect, test } from 'vitest';
import { memoryOp } from './memory-op.js';
import { RO, type SmallGuest, TestHost } from './testing/small-guest.js';

let host: TestHost;
let guest: SmallGuest;
beforeEach(() => {
  host = new TestHost();
  guest = host.guest();
});

const LIST = 28;
const op = (command: number, arg: bigint, start = 0): number =>
  memoryOp(host.memory, guest.vcpu, guest, BigInt(command) | (BigInt(start) << 6n), arg);

/** A view of the guest's scratch page, where arguments are put. */
const arg = (): DataView => {
  const at = guest.mfns[guest.pages - 1] * 4096;
  return new DataView(host.machine.memory.buffer, at, 4096);
};

interface Reservation {
  count: number;
  order?: number;
  flags?: number;
  domid?: number;
  list?: bigint;
}
const reserve = (
  command: number,
  { count, order = 0, flags = 0, domid = DOMID_SELF, list }: Reservation,
): number => {
  const r = XenMemoryReservation.at(arg());
  r.extent_start = list ?? guest.va(LIST);
  r.nr_extents = BigInt(count);
  r.extent_order = order;
  r.mem_flags = flags;
  r.domid = domid;
  return op(command, guest.scratch);
};

describe('reservations', () => {
  test('shrink and grow: the frames go and others come, known to the M2P', () => {
    const before = guest.domain.totPages;
    guest.updateVa(guest.va(20), 0n);
    guest.updateVa(guest.va(21), 0n);
    guest.poke(LIST, 0, BigInt(guest.mfns[20]));
    guest.poke(LIST, 1, BigInt(guest.mfns[21]));
    expect(reserve(XENMEM_decrease_reservation, { count: 2 })).toBe(2);
    expect(guest.domain.totPages).toBe(before - 2);
    expect(host.memory.m2p.get(guest.mfns[20])).toBe(0xffff_ffff_ffff_ffffn);
    expect(host.recount()).toEqual([]);

    guest.poke(LIST, 0, 20n);
    guest.poke(LIST, 1, 21n);
    expect(reserve(XENMEM_populate_physmap, { count: 2 })).toBe(2);
    const mfn = Number(guest.peek(LIST, 1));
    expect(host.memory.m2p.get(mfn)).toBe(21n);
    expect(host.memory.frames.owner(mfn)).toBe(1);
    expect(guest.domain.totPages).toBe(before);
    expect(host.recount()).toEqual([]);
  });

  test('stop at what is not the guest’s, at the limit, and at unreadable lists', () => {
    const other = host.guest(2);
    guest.poke(LIST, 0, BigInt(other.mfns[9]));
    expect(reserve(XENMEM_decrease_reservation, { count: 1 })).toBe(0);
    guest.poke(LIST, 0, 1n << 60n);
    expect(reserve(XENMEM_decrease_reservation, { count: 1 })).toBe(0);
    expect(reserve(XENMEM_increase_reservation, { count: 100, list: 0n })).toBe(16);
    expect(reserve(XENMEM_increase_reservation, { count: 1, list: 0n })).toBe(0);
    expect(reserve(XENMEM_populate_physmap, { count: 1, list: 0x10n })).toBe(0);
    expect(reserve(XENMEM_decrease_reservation, { count: 1, domid: 2 })).toBe(0);
    expect(reserve(XENMEM_increase_reservation, { count: 1, order: 10, list: 0n })).toBe(0);
    expect(reserve(XENMEM_increase_reservation, { count: 2 ** 40, list: 0n })).toBe(0);
    expect(op(XENMEM_increase_reservation, 0x10n)).toBe(0);
    expect(op(XENMEM_increase_reservation, 0x10n, 7)).toBe(7);
    expect(host.recount()).toEqual([]);
  });

  test('a frame that is still mapped goes when the mapping does', () => {
    guest.poke(LIST, 0, BigInt(guest.mfns[20]));
    const before = guest.domain.totPages;
    expect(reserve(XENMEM_decrease_reservation, { count: 1 })).toBe(1);
    expect(guest.domain.totPages).toBe(before);
    expect(host.recount()).toEqual([]);
    guest.updateVa(guest.va(20), 0n);
    expect(guest.domain.totPages).toBe(before - 1);
    expect(host.recount()).toEqual([]);
  });

  test('a long one is continued where it stopped', () => {
    host = new TestHost(4096);
    guest = host.guest(1);
    guest.domain.maxPages = 4000;
    const { work } = host.memory;
    const rc = work.limited(() => reserve(XENMEM_increase_reservation, { count: 3000, list: 0n }));
    expect(rc).toBe(-85);
    const [command, again] = host.memory.takeContinuation() ?? [0n, 0n];
    expect(again).toBe(guest.scratch);
    const reached = Number(command >> 6n);
    expect(guest.domain.totPages).toBe(32 + reached);
    let result = rc;
    let next = command;
    for (let i = 0; i < 10 && result === -85; i++) {
      result = work.limited(() => memoryOp(host.memory, guest.vcpu, guest, next, guest.scratch));
      next = host.memory.takeContinuation()?.[0] ?? 0n;
    }
    expect(result).toBe(3000);
    expect(guest.domain.totPages).toBe(3032);
  });
});

describe('exchange', () => {
  const run = (count: number, order: number, out: number, outOrder: number, done = 0): number => {
    const e = XenMemoryExchange.at(arg());
    e.in.extent_start = guest.va(LIST);
    e.in.nr_extents = BigInt(count);
    e.in.extent_order = order;
    e.in.mem_flags = 0;
    e.in.domid = DOMID_SELF;
    e.out.extent_start = guest.va(LIST + 1);
    e.out.nr_extents = BigInt(out);
    e.out.extent_order = outOrder;
    e.out.mem_flags = 0;
    e.out.domid = DOMID_SELF;
    e.nr_exchanged = BigInt(done);
    return op(XENMEM_exchange, guest.scratch);
  };
  const done = (): bigint => XenMemoryExchange.at(arg()).nr_exchanged;

  test('single frames for a contiguous run', () => {
    const before = guest.domain.totPages;
    for (let i = 0; i < 8; i++) {
      guest.updateVa(guest.va(10 + i), 0n);
      guest.poke(LIST, i, BigInt(guest.mfns[10 + i]));
    }
    guest.poke(LIST + 1, 0, 10n);
    expect(run(8, 0, 1, 3)).toBe(0);
    expect(done()).toBe(8n);
    const first = Number(guest.peek(LIST + 1, 0));
    expect(first % 8).toBe(0);
    for (let i = 0; i < 8; i++) {
      expect(host.memory.frames.owner(first + i)).toBe(1);
      expect(host.memory.m2p.get(first + i)).toBe(BigInt(10 + i));
    }
    expect(guest.domain.totPages).toBe(before);
    expect(host.recount()).toEqual([]);
  });

  test('gives back what it took when a frame is in use or memory is short', () => {
    guest.updateVa(guest.va(10), 0n);
    guest.poke(LIST, 0, BigInt(guest.mfns[10]));
    guest.poke(LIST, 1, BigInt(guest.mfns[11]));
    expect(run(2, 0, 1, 1)).toBe(-EINVAL);
    expect(done()).toBe(0n);
    expect(host.recount()).toEqual([]);
    guest.updateVa(guest.va(11), 0n);
    const left = host.memory.frames.freeFrames;
    for (let i = 0; i < left; i++) host.memory.frames.allocateXen();
    expect(run(2, 0, 1, 1)).toBe(-ENOMEM);
    expect(host.recount()).toEqual([]);
  });

  test('checks its numbers', () => {
    expect(run(1, 0, 2, 0)).toBe(-EINVAL);
    expect(run(1, 10, 1, 10)).toBe(-EPERM);
    expect(run(1, 0, 1, 0, 2)).toBe(-EINVAL);
    expect(run(1, 0, 1, 0, 1)).toBe(0);
    expect(op(XENMEM_exchange, guest.scratch, 1)).toBe(-EINVAL);
    expect(op(XENMEM_exchange, 0x10n)).toBe(-EFAULT);
  });
});

describe('queries', () => {
  const query = (command: number, domid: number): number => {
    XenMemoryDomain.at(arg()).domid = domid;
    return op(command, guest.scratch);
  };

  test('of the own domain', () => {
    guest.domain.maxPfn = 32;
    expect(query(XENMEM_current_reservation, DOMID_SELF)).toBe(32);
    expect(query(XENMEM_maximum_reservation, 1)).toBe(48);
    expect(query(XENMEM_maximum_gpfn, DOMID_SELF)).toBe(31);
    expect(op(XENMEM_maximum_ram_page, 0n)).toBe(host.machine.frames);
    expect(query(XENMEM_current_reservation, 0)).toBe(-EPERM);
    expect(query(XENMEM_current_reservation, 9)).toBe(-ESRCH);
    expect(op(XENMEM_current_reservation, 0x10n)).toBe(-EFAULT);
  });

  test('the memory map, as much as there is room for', () => {
    const map = XenMemoryMap.at(arg());
    map.nr_entries = 8;
    map.buffer = guest.va(LIST);
    expect(op(XENMEM_memory_map, guest.scratch)).toBe(-ENOSYS);
    guest.domain.memoryMap = [
      { address: 0n, size: 0x2_0000n, type: 1 },
      { address: 0x10_0000n, size: 0x1000n, type: 2 },
    ];
    expect(op(XENMEM_memory_map, guest.scratch)).toBe(0);
    expect(map.nr_entries).toBe(2);
    expect(guest.peek(LIST, 1)).toBe(0x2_0000n);
    map.buffer = 0x10n;
    expect(op(XENMEM_memory_map, guest.scratch)).toBe(-EFAULT);
  });

  test('where the M2P is', () => {
    expect(op(XENMEM_machphys_mapping, guest.scratch)).toBe(0);
    const mapping = XenMachphysMapping.at(arg());
    expect(mapping.v_start).toBe(0xffff_8000_0000_0000n);
    expect(mapping.max_mfn).toBe(2n ** 35n - 1n);
    const list = XenMachphysMfnList.at(arg());
    list.max_extents = 4;
    list.extent_start = guest.va(LIST);
    expect(op(XENMEM_machphys_mfn_list, guest.scratch)).toBe(0);
    expect(list.nr_extents).toBe(1);
    expect(guest.peek(LIST, 0)).toBe(BigInt(host.memory.m2p.storage[0]));
  });
});

test('a PV guest has no physmap, claims nothing and maps no resources', () => {
  const add = XenAddToPhysmap.at(arg());
  add.domid = DOMID_SELF;
  add.space = XENMAPSPACE_shared_info;
  expect(op(XENMEM_add_to_physmap, guest.scratch)).toBe(-EACCES);
  arg().setBigUint64(0, 0n, true);
  const claim = XenMemoryReservation.create();
  claim.domid = 1;
  new Uint8Array(host.machine.memory.buffer, arg().byteOffset, XenMemoryReservation.size).set(
    new Uint8Array(claim.$view.buffer, claim.$base, XenMemoryReservation.size),
  );
  expect(op(XENMEM_claim_pages, guest.scratch)).toBe(-EPERM);
  expect(op(XENMEM_acquire_resource, 0x10n)).toBe(-EFAULT);
  expect(op(63, guest.scratch)).toBe(-ENOSYS);
  expect(guest.updateVa(guest.va(20), guest.entry(20, RO))).toBe(0);
});
