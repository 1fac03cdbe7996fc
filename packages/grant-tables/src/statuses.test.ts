import {
  DOMID_SELF,
  EINVAL,
  ENOSYS,
  EOPNOTSUPP,
  EPERM,
  ESRCH,
  GNTMAP_application_map,
  GNTMAP_contains_pte,
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
  GTF_readonly,
  GTF_sub_page,
} from '@xenolith/xen-abi';
import { expect, it } from 'vitest';
import { testHost } from './testing.js';

const RW = GNTMAP_host_map;
const RO = GNTMAP_host_map | GNTMAP_readonly;
const DEV = GNTMAP_device_map;

/**
 * Domain 1 grants to domain 2: 8 writable, 9 read-only, 10 somebody else's frame, 11 a page table, 13 an entry for a
 * transfer, 14 one with the sub-page flag, 15 a frame that no machine has; and 12 to domain 0.
 */
function granted() {
  const host = testHost();
  host.grant(1, 8, 2, 20);
  host.grant(1, 9, 2, 21, GTF_permit_access | GTF_readonly);
  host.grant(1, 10, 2, 40);
  host.grant(1, 11, 2, 31);
  host.grant(1, 12, 0, 22);
  host.grant(1, 13, 2, 23, GTF_accept_transfer);
  host.grant(1, 14, 2, 23, GTF_permit_access | GTF_sub_page);
  host.grant(1, 15, 2, 0xffff_ffff);
  const map = (ref: number, flags: number = RW, hostAddr = 0x1000n, dom = 1) =>
    host.grants.map(2, 0, { hostAddr, flags, ref, dom });
  const native = (flags: number) => host.grants.map(0, 0, { hostAddr: 0n, flags, ref: 12, dom: 1 }).status;
  const unmap = (handle: number, hostAddr = 0x1000n, devBusAddr = 0n) =>
    host.grants.unmap(2, { hostAddr, devBusAddr, handle });
  const flush = (mfn: number, op: number, offset = 0, length = 64) =>
    host.grants.cacheFlush(2, { devBusAddr: BigInt(mfn) << 12n, op, offset, length });
  return { ...host, map, native, unmap, flush };
}
type Host = ReturnType<typeof granted>;
/** Does something that comes first, and then the operation of the row. */
const after = (_first: unknown, result: number): number => result;
const fillMaptrack = (h: Host): void => {
  for (let i = 0; i < 127; i++) h.map(8, RW, BigInt(i + 2) << 12n);
  for (let i = 0; i < 128; i++) h.map(9, RO, BigInt(i + 200) << 12n);
};

/** What, how, the result, and where Xen 4.17 (xen/common/grant_table.c unless said otherwise) says so. */
// biome-ignore format: a row is a line
const table: [what: string, how: (h: Host) => number, result: number, source: string][] = [
  ['map', (h) => h.map(8).status, GNTST_okay, 'map_grant_ref'],
  ['map, neither host nor device', (h) => h.map(8, GNTMAP_readonly).status, GNTST_bad_gntref, 'map_grant_ref: pin_incr'],
  ['map, no such domain', (h) => h.map(8, RW, 1n, 7).status, GNTST_bad_domain, 'map_grant_ref: rcu_lock_domain_by_id'],
  ['map, DOMID_SELF', (h) => h.map(8, RW, 1n, DOMID_SELF).status, GNTST_bad_domain, 'map_grant_ref: rcu_lock_domain_by_id'],
  ['map, beyond the table', (h) => h.map(512).status, GNTST_bad_gntref, 'map_grant_ref: nr_grant_entries'],
  ['map, an empty entry', (h) => h.map(100).status, GNTST_general_error, '_set_status_v1: flags & mask'],
  ['map, for somebody else', (h) => h.map(12).status, GNTST_general_error, '_set_status_v1: domid'],
  ['map, an entry for transfers', (h) => h.map(13).status, GNTST_general_error, '_set_status_v1: flags & mask'],
  ['map, sub-page flag', (h) => h.map(14).status, GNTST_general_error, '_set_status_v1: mapflag'],
  ['map, writable of read-only', (h) => h.map(9).status, GNTST_general_error, '_set_status_v1: GTF_readonly'],
  ['map, read-only of read-only', (h) => h.map(9, RO).status, GNTST_okay, '_set_status_v1'],
  ["map, not the granter's frame", (h) => h.map(10).status, GNTST_bad_page, 'get_paged_frame'],
  ['map, no frame at all', (h) => h.map(15).status, GNTST_bad_page, 'get_paged_frame'],
  ['map, page table, writable', (h) => h.map(11).status, GNTST_general_error, 'map_grant_ref: could_not_pin'],
  ['map, page table, device', (h) => h.map(11, DEV).status, GNTST_general_error, 'map_grant_ref: could_not_pin'],
  ['map, page table, read-only', (h) => h.map(11, RO).status, GNTST_okay, 'map_grant_ref'],
  ['map, address without entry', (h) => h.map(8, RW, 0xbadn).status, GNTST_general_error, 'create_grant_pv_mapping'],
  ['map, 129th use', (h) => after(Array.from({ length: 128 }, (_, n) => h.map(8, RW, BigInt(n))), h.map(8).status,), GNTST_general_error, 'GNTPIN_incr2oflow_mask'],
  ['map, no handle left', (h) => after(fillMaptrack(h), h.map(8).status), GNTST_no_space, 'map_grant_ref: get_maptrack_handle'],
  ['map, in use by another', (h) => after(h.grants.mapForNative(0, 1, 12, false), after(h.grant(1, 12, 2, 22), h.map(12).status)), GNTST_general_error, 'map_grant_ref: act->domid'],
  ['map, native, application', (h) => h.native(RW | GNTMAP_application_map), GNTST_general_error, 'map_grant_ref: paging_mode_external'],
  ['map, native, PTE', (h) => h.native(RW | GNTMAP_contains_pte), GNTST_general_error, 'map_grant_ref: paging_mode_external'],
  ['map, native, device', (h) => h.native(RW | DEV), GNTST_general_error, 'map_grant_ref: paging_mode_external'],
  ['unmap', (h) => h.unmap(h.map(8).handle), GNTST_okay, 'unmap_common'],
  ['unmap, no such handle', (h) => h.unmap(0), GNTST_bad_handle, 'unmap_common: maptrack_limit'],
  ['unmap, far beyond', (h) => h.unmap(0xffff_ffff), GNTST_bad_handle, 'unmap_common: maptrack_limit'],
  ['unmap, free handle', (h) => after(h.map(8), h.unmap(1)), GNTST_bad_handle, 'unmap_common: map->flags'],
  ['unmap, wrong address', (h) => h.unmap(h.map(8).handle, 0x2000n), GNTST_general_error, 'replace_grant_pv_mapping'],
  ['unmap, nothing given', (h) => h.unmap(h.map(8).handle, 0n), GNTST_okay, 'unmap_common'],
  ['unmap, wrong bus address', (h) => h.unmap(h.map(8, RW | DEV).handle, 0n, 0x1000n), GNTST_bad_dev_addr, 'unmap_common: dev_bus_addr'],
  ['unmap, bus address of no device mapping', (h) => h.unmap(h.map(8).handle, 0n, 0x1000n), GNTST_okay, 'unmap_common: GNTMAP_device_map'],
  ['setup_table', (h) => h.grants.setupTable(1, DOMID_SELF, 4).status, GNTST_okay, 'gnttab_setup_table'],
  ['setup_table, too many', (h) => h.grants.setupTable(1, DOMID_SELF, 5).status, GNTST_general_error, 'gnttab_setup_table: max_grant_frames'],
  ['setup_table, no memory', (h) => after(h.memory.tables.splice(1), h.grants.setupTable(1, 1, 3).status), GNTST_general_error, 'gnttab_grow_table'],
  ['setup_table, no such domain', (h) => h.grants.setupTable(1, 7, 1).status, GNTST_bad_domain, 'gnttab_setup_table'],
  ["setup_table, another's", (h) => h.grants.setupTable(1, 2, 1).status, GNTST_permission_denied, 'xsm_grant_setup'],
  ["setup_table, another's, privileged", (h) => h.grants.setupTable(0, 2, 1).status, GNTST_okay, 'xsm_grant_setup'],
  ['query_size', (h) => h.grants.querySize(1, DOMID_SELF).status, GNTST_okay, 'gnttab_query_size'],
  ["query_size, another's", (h) => h.grants.querySize(1, 2).status, GNTST_permission_denied, 'xsm_grant_query_size'],
  ['query_size, no such domain', (h) => h.grants.querySize(1, 7).status, GNTST_bad_domain, 'gnttab_query_size'],
  ['set_version 1', (h) => h.grants.setVersion(1, 1).result, 0, 'gnttab_set_version: gt_version'],
  ['set_version 2', (h) => h.grants.setVersion(1, 2).result, 0, 'gnttab_set_version'],
  ['set_version 0', (h) => h.grants.setVersion(1, 0).result, -EINVAL, 'gnttab_set_version'],
  ['set_version 3', (h) => h.grants.setVersion(1, 3).result, -EINVAL, 'gnttab_set_version'],
  ['set_version 2, not allowed', () => testHost({ maxVersion: 1 }).grants.setVersion(1, 2).result, -ENOSYS, 'gnttab_set_version: max_version'],
  ['get_version', (h) => h.grants.getVersion(1, DOMID_SELF), 1, 'gnttab_get_version'],
  ["get_version, another's", (h) => h.grants.getVersion(1, 2), -EPERM, 'xsm_grant_query_size'],
  ['get_version, no such domain', (h) => h.grants.getVersion(1, 7), -ESRCH, 'gnttab_get_version'],
  ['get_status_frames of version 1', (h) => h.grants.getStatusFrames(1, DOMID_SELF, 1).status, GNTST_general_error, 'gnttab_get_status_frames: nr_status_frames'],
  ['get_status_frames, none', (h) => h.grants.getStatusFrames(1, DOMID_SELF, 0).status, GNTST_okay, 'gnttab_get_status_frames'],
  ["get_status_frames, another's", (h) => h.grants.getStatusFrames(1, 2, 0).status, GNTST_permission_denied, 'xsm_grant_setup'],
  ['get_status_frames, no such domain', (h) => h.grants.getStatusFrames(1, 7, 0).status, GNTST_bad_domain, 'gnttab_get_status_frames'],
  ['swap', (h) => h.grants.swap(1, 8, 9), GNTST_okay, 'swap_grant_ref'],
  ['swap, first beyond', (h) => h.grants.swap(1, 512, 8), GNTST_bad_gntref, 'swap_grant_ref: ref_a'],
  ['swap, second beyond', (h) => h.grants.swap(1, 8, 512), GNTST_bad_gntref, 'swap_grant_ref: ref_b'],
  ['swap, first in use', (h) => after(h.map(8), h.grants.swap(1, 8, 9)), GNTST_eagain, 'swap_grant_ref: act_a->pin'],
  ['swap, second in use', (h) => after(h.map(8), h.grants.swap(1, 9, 8)), GNTST_eagain, 'swap_grant_ref: act_b->pin'],
  ['swap, with itself, in use', (h) => after(h.map(8), h.grants.swap(1, 8, 8)), GNTST_okay, 'swap_grant_ref'],
  ['cache_flush, own frame', (h) => h.flush(40, 1), 0, '_cache_flush: GNTTAB_CACHE_CLEAN'],
  ["cache_flush, another's", (h) => h.flush(20, 1), -EINVAL, 'grant_map_exists'],
  ["cache_flush, another's, mapped", (h) => after(h.map(8, RO), h.flush(20, 1)), 0, 'grant_map_exists'],
  ["cache_flush, another's, mapped for a device", (h) => after(h.map(8, DEV), h.flush(20, 3)), 0, 'grant_map_exists'],
  ['cache_flush, invalidation alone', (h) => h.flush(40, 2), -EOPNOTSUPP, 'invalidate_dcache_va_range of asm-x86'],
  ['cache_flush, both', (h) => h.flush(40, 3), 0, '_cache_flush'],
  ["cache_flush, Xen's frame", (h) => h.flush(5, 1), -EPERM, '_cache_flush: owner'],
  ['cache_flush, no frame', (h) => h.flush(999, 1), -EINVAL, '_cache_flush: mfn_valid'],
  ['cache_flush, unknown operation', (h) => h.flush(40, 4), -EINVAL, '_cache_flush: op'],
  ['cache_flush, by reference', (h) => h.flush(40, 0x8000_0001), -EINVAL, '_cache_flush: op'],
  ['cache_flush, offset', (h) => h.flush(40, 1, 4096, 0), -EINVAL, '_cache_flush: offset'],
  ['cache_flush, length', (h) => h.flush(40, 1, 0, 4097), -EINVAL, '_cache_flush: length'],
  ['cache_flush, beyond the page', (h) => h.flush(40, 1, 4000, 97), -EINVAL, '_cache_flush: offset + length'],
  ['cache_flush, no operation', (h) => h.flush(999, 0), 0, '_cache_flush: op == 0'],
  ['cache_flush, nothing', (h) => h.flush(999, 1, 0, 0), 0, '_cache_flush: length == 0'],
];

it.each(table)('%s', (_what, how, result) => {
  const host = granted();
  expect(how(host)).toBe(result);
  host.grants.checkInvariants();
});
