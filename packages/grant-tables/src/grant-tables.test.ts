import {
  DOMID_SELF,
  EINVAL,
  ENOSYS,
  EOPNOTSUPP,
  EPERM,
  ESRCH,
  GNTMAP_application_map,
  GNTMAP_device_map,
  GNTMAP_host_map,
  GNTMAP_readonly,
  GNTST_bad_dev_addr,
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_bad_handle,
  GNTST_bad_page,
  GNTST_eagain,
  GNTST_general_error,
  GNTST_no_space,
  GNTST_okay,
  GNTST_permission_denied,
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
type Host = ReturnType<typeof granted>;

describe('statuses of xen/common/grant_table.c', () => {
  const table: [string, (h: Host) => unknown, number][] = [
    ['map', (h) => h.map(8).status, GNTST_okay],
    ['map: neither host nor device', (h) => h.map(8, GNTMAP_readonly).status, GNTST_bad_gntref],
    ['map: no such domain', (h) => h.map(8, RW, 1n, 7).status, GNTST_bad_domain],
    ['map: DOMID_SELF is no domain here', (h) => h.map(8, RW, 1n, DOMID_SELF).status, GNTST_bad_domain],
    ['map: beyond the table', (h) => h.map(512).status, GNTST_bad_gntref],
    ['map: empty entry', (h) => h.map(100).status, GNTST_general_error],
    ['map: for somebody else', (h) => h.map(12).status, GNTST_general_error],
    ['map: an entry for transfers', (h) => h.map(13).status, GNTST_general_error],
    ['map: a sub-page entry', (h) => h.map(14).status, GNTST_general_error],
    ['map: writable of a read-only grant', (h) => h.map(9).status, GNTST_general_error],
    ['map: read-only of a read-only grant', (h) => h.map(9, RO).status, GNTST_okay],
    ["map: a frame that is not the granter's", (h) => h.map(10).status, GNTST_bad_page],
    ['map: a page table, writable', (h) => h.map(11).status, GNTST_general_error],
    ['map: a page table, read-only', (h) => h.map(11, RO).status, GNTST_okay],
    ['map: an address without PTE', (h) => h.map(8, RW, 0xbadn).status, GNTST_general_error],
    [
      'map: application map in a translated domain',
      (h) => h.grants.map(0, 0, { hostAddr: 0n, flags: RW | GNTMAP_application_map, ref: 12, dom: 1 }).status,
      GNTST_general_error,
    ],
    ['unmap: no such handle', (h) => h.unmap(0), GNTST_bad_handle],
    ['unmap: far beyond', (h) => h.unmap(0xffff_ffff), GNTST_bad_handle],
    ['unmap', (h) => h.unmap(h.map(8).handle), GNTST_okay],
    ['unmap: wrong address', (h) => h.unmap(h.map(8).handle, 0x2000n), GNTST_general_error],
    ['unmap: nothing given leaves it mapped', (h) => h.unmap(h.map(8).handle, 0n), GNTST_okay],
    [
      'unmap: wrong bus address',
      (h) => h.unmap(h.map(8, RW | GNTMAP_device_map).handle, 0n, 0x1000n),
      GNTST_bad_dev_addr,
    ],
    ['setup_table', (h) => h.grants.setupTable(1, DOMID_SELF, 4).status, GNTST_okay],
    ['setup_table: too many', (h) => h.grants.setupTable(1, DOMID_SELF, 5).status, GNTST_general_error],
    ['setup_table: no such domain', (h) => h.grants.setupTable(1, 7, 1).status, GNTST_bad_domain],
    ['setup_table: another domain', (h) => h.grants.setupTable(1, 2, 1).status, GNTST_permission_denied],
    ['setup_table: another domain, privileged', (h) => h.grants.setupTable(0, 2, 1).status, GNTST_okay],
    ['query_size: another domain', (h) => h.grants.querySize(1, 2).status, GNTST_permission_denied],
    ['query_size: no such domain', (h) => h.grants.querySize(1, 7).status, GNTST_bad_domain],
    ['set_version 1', (h) => h.grants.setVersion(1).result, 0],
    ['set_version 2', (h) => h.grants.setVersion(2).result, -ENOSYS],
    ['set_version 3', (h) => h.grants.setVersion(3).result, -EINVAL],
    ['get_version', (h) => h.grants.getVersion(1, DOMID_SELF), 1],
    ['get_version: another domain', (h) => h.grants.getVersion(1, 2), -EPERM],
    ['get_version: no such domain', (h) => h.grants.getVersion(1, 7), -ESRCH],
    ['get_status_frames', (h) => h.grants.getStatusFrames(1, DOMID_SELF, 1), GNTST_general_error],
    ['get_status_frames: none', (h) => h.grants.getStatusFrames(1, DOMID_SELF, 0), GNTST_okay],
    ['get_status_frames: another domain', (h) => h.grants.getStatusFrames(1, 2, 0), GNTST_permission_denied],
    ['transfer', (h) => h.grants.transfer(), -EOPNOTSUPP],
    ['swap: first beyond', (h) => h.grants.swap(1, 512, 8), GNTST_bad_gntref],
    ['swap: second beyond', (h) => h.grants.swap(1, 8, 512), GNTST_bad_gntref],
    ['swap: in use', (h) => h.map(8) && h.grants.swap(1, 9, 8), GNTST_eagain],
    ['swap: same', (h) => h.map(8) && h.grants.swap(1, 8, 8), GNTST_okay],
  ];
  it.each(table)('%s', (_name, op, status) => {
    const host = granted();
    expect(op(host)).toBe(status);
    host.grants.checkInvariants();
  });

  it('a failed map leaves no reference, flag or handle', () => {
    const { grants, map, memory, flags } = granted();
    for (const ref of [9, 10, 11, 12, 100, 600]) map(ref);
    map(8, RW, 0xbadn);
    expect(memory.refs.some(Boolean) || memory.types.some(Boolean)).toBe(false);
    expect([8, 9, 10, 11].map((ref) => flags(1, ref) & (GTF_reading | GTF_writing))).toEqual([0, 0, 0, 0]);
    expect(grants.isIdle(1)).toBe(true);
  });

  it('cache_flush', () => {
    const { grants, map } = granted();
    const flush = (devBusAddr: bigint, op: number, offset = 0, length = 64) =>
      grants.cacheFlush(2, { devBusAddr, op, offset, length });
    expect(flush(20n << 12n, 1)).toBe(-EINVAL); // somebody else's, not mapped
    map(8, RO);
    expect([flush(20n << 12n, 1), flush(20n << 12n, 2), flush(20n << 12n, 3)]).toEqual([0, -EOPNOTSUPP, 0]);
    expect([flush(40n << 12n, 1), flush(0x1000n, 1), flush(99n << 12n, 1)]).toEqual([0, -EPERM, -EINVAL]);
    expect([flush(0n, 4), flush(0n, 1, 4096), flush(0n, 1, 4000, 97), flush(0n, 0)]).toEqual([
      -EINVAL,
      -EINVAL,
      -EINVAL,
      0,
    ]);
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
    expect(grants.setupTable(1, DOMID_SELF, 3)).toEqual({ status: GNTST_okay, frames: [2, 4, 5] });
    memory.tableFrames = 5;
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
