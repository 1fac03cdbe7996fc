import {
  DOMID_SELF,
  GNTMAP_device_map,
  GNTMAP_host_map,
  GNTMAP_readonly,
  GNTST_bad_handle,
  GNTST_general_error,
  GNTST_no_space,
  GNTST_okay,
  GTF_accept_transfer,
  GTF_permit_access,
  GTF_reading,
  GTF_readonly,
  GTF_sub_page,
  GTF_writing,
} from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { testHost } from './testing.js';

const RW = GNTMAP_host_map;
const RO = GNTMAP_host_map | GNTMAP_readonly;

/** Domain 1 grants to domain 2: 8 writable, 9 read-only, 10 somebody else's frame, 11 a page table; 12 to domain 0. */
function granted() {
  const host = testHost();
  host.grant(1, 8, 2, 20);
  host.grant(1, 9, 2, 21, GTF_permit_access | GTF_readonly);
  host.grant(1, 10, 2, 40);
  host.grant(1, 11, 2, 31);
  host.grant(1, 12, 0, 22);
  host.grant(1, 13, 2, 23, GTF_accept_transfer);
  host.grant(1, 14, 2, 23, GTF_permit_access | GTF_sub_page);
  const map = (ref: number, flags: number = RW, hostAddr = 0x1000n, dom = 1) =>
    host.grants.map(2, 0, { hostAddr, flags, ref, dom });
  const unmap = (handle: number, hostAddr = 0x1000n, devBusAddr = 0n) =>
    host.grants.unmap(2, { hostAddr, devBusAddr, handle });
  return { ...host, map, unmap };
}

describe('a failure', () => {
  it('of a map leaves no reference, flag or handle', () => {
    const { grants, map, memory, flags } = granted();
    for (const ref of [9, 10, 11, 12, 100, 600]) map(ref);
    map(8, RW, 0xbadn);
    expect(memory.refs.some(Boolean) || memory.types.some(Boolean)).toBe(false);
    expect([8, 9, 10, 11].map((ref) => flags(1, ref) & (GTF_reading | GTF_writing))).toEqual([0, 0, 0, 0]);
    expect(grants.isIdle(1)).toBe(true);
  });
});

describe('mapping', () => {
  it('takes references and types, shows its use to the granter, and gives all back', () => {
    const { grants, map, unmap, memory, mapper, flags } = granted();
    const first = map(8);
    expect(first).toEqual({ status: GNTST_okay, handle: 0, devBusAddr: 20n << 12n });
    expect([memory.refs[20], memory.types[20], mapper.mapped.get('2:4096')]).toEqual([1, 1, 20]);
    expect(flags(1, 8)).toBe(GTF_permit_access | GTF_reading | GTF_writing);
    const second = map(8, RO, 0x2000n);
    expect([second.handle, memory.refs[20], memory.types[20]]).toEqual([1, 2, 1]);
    expect([grants.isMappedBy(2, 20, true), grants.isMappedBy(2, 21, false)]).toEqual([true, false]);
    unmap(first.handle);
    expect(flags(1, 8)).toBe(GTF_permit_access | GTF_reading);
    expect([grants.isMappedBy(2, 20, true), grants.isMappedBy(2, 20, false)]).toEqual([false, true]);
    unmap(second.handle, 0x2000n);
    expect([memory.refs[20], memory.types[20], flags(1, 8)]).toEqual([0, 0, GTF_permit_access]);
    expect([grants.isMappedBy(2, 20, false), mapper.mapped.size]).toEqual([false, 0]);
    expect(unmap(first.handle)).toBe(GNTST_bad_handle);
    grants.checkInvariants();
  });

  it('keeps the frame of the first use, whatever the granter writes meanwhile', () => {
    const { map, grant } = granted();
    map(8, RO);
    grant(1, 8, 0, 25, 0);
    expect(map(8, RO, 0x2000n)).toMatchObject({ status: GNTST_okay, devBusAddr: 20n << 12n });
  });

  it('host and device halves go one by one', () => {
    const { grants, map, unmap, memory } = granted();
    const { handle } = map(8, RW | GNTMAP_device_map);
    expect([memory.refs[20], memory.types[20]]).toEqual([2, 2]);
    expect(unmap(handle, 0x1000n)).toBe(GNTST_okay);
    expect([memory.refs[20], memory.types[20], grants.isMappedBy(2, 20, false)]).toEqual([1, 1, false]);
    grants.checkInvariants();
    expect(unmap(handle, 0n, 20n << 12n)).toBe(GNTST_okay);
    expect([memory.refs[20], memory.types[20], unmap(handle)]).toEqual([0, 0, GNTST_bad_handle]);
  });

  it('unmap_and_replace passes the new address on', () => {
    const { grants, map, mapper } = granted();
    const { handle } = map(8);
    expect(grants.unmap(2, { hostAddr: 0x1000n, devBusAddr: 0n, handle, newAddr: 0x5000n })).toBe(GNTST_okay);
    expect(mapper.mapped.get('2:new')).toBe(0x5000);
  });

  it('stops at 128 uses of a kind, and at the last handle but one', () => {
    const { grants, map } = granted();
    const statuses = Array.from({ length: 129 }, (_, i) => map(8, RW, BigInt(i) << 12n).status);
    expect([statuses[127], statuses[128]]).toEqual([GNTST_okay, GNTST_general_error]);
    for (let i = 0; i < 127; i++) expect(map(9, RO, BigInt(i + 500) << 12n).status).toBe(GNTST_okay);
    // 255 of 256 handles are used; the last stays the tail of the free list.
    expect(map(9, RO, 1n << 30n).status).toBe(GNTST_no_space);
    grants.checkInvariants();
  });
});

describe('tables', () => {
  it('grow up to the limit, and fail whole when memory is out', () => {
    const { grants, memory } = testHost();
    expect(grants.querySize(1, 1)).toEqual({ status: GNTST_okay, frames: 1, maxFrames: 4 });
    expect(grants.setupTable(1, DOMID_SELF, 3)).toEqual({ status: GNTST_okay, frames: [2, 5, 6] });
    memory.tables.length = 0;
    expect(grants.setupTable(1, DOMID_SELF, 4).status).toBe(GNTST_general_error);
    expect(grants.querySize(1, 1).frames).toBe(3);
    expect(grants.setupTable(1, DOMID_SELF, 1)).toEqual({ status: GNTST_okay, frames: [2] });
  });

  it('swap exchanges two entries', () => {
    const { grants, frameOf } = granted();
    expect(grants.swap(1, 8, 9)).toBe(GNTST_okay);
    expect([frameOf(1, 8), frameOf(1, 9)]).toEqual([21, 20]);
  });
});

describe('death', () => {
  it('a mapper releases pins, but the references of a PV host mapping go with its page tables', () => {
    const { grants, map, memory, flags } = granted();
    map(8);
    map(9, RO | GNTMAP_device_map, 0x2000n);
    grants.setDying(2);
    expect([memory.refs[20], memory.types[20], memory.refs[21]]).toEqual([1, 1, 1]);
    expect([flags(1, 8), grants.isIdle(1)]).toEqual([GTF_permit_access, true]);
    grants.removeDomain(2);
    grants.checkInvariants();
  });

  it('a granter waits for its PV users', () => {
    const { grants, map, unmap } = granted();
    const { handle } = map(8);
    grants.setDying(1);
    expect(grants.isIdle(1)).toBe(false);
    unmap(handle);
    expect(grants.isIdle(1)).toBe(true);
    grants.removeDomain(1);
    grants.checkInvariants();
  });

  it('a granter goes although a PV user wrote over its mapping: the handle leads nowhere, also to its successor', () => {
    const { grants, map, unmap, mapper } = granted();
    const { handle } = map(8);
    expect(grants.isMappedBy(2, 20, true)).toBe(true);
    grants.removeDomain(1);
    grants.checkInvariants();
    expect(grants.isMappedBy(2, 20, true)).toBe(false);
    grants.addDomain({ domid: 1, vcpus: 1 });
    expect([unmap(handle), mapper.crashed]).toEqual([GNTST_general_error, [2]]);
    grants.removeDomain(2);
    grants.checkInvariants();
  });
});
