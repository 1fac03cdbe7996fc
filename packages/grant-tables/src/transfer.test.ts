import {
  DOMID_SELF,
  GNTST_bad_domain,
  GNTST_bad_page,
  GNTST_general_error,
  GNTST_okay,
  GTF_accept_transfer,
  GTF_permit_access,
  GTF_readonly,
  GTF_transfer_committed,
  GTF_transfer_completed,
} from '@xenolith/xen-abi';
import { expect, it } from 'vitest';
import { testHost } from './testing.js';

/** Domain 2 takes frames from domain 1 by its references 8 (as its page 7), and from domain 3 by 9. */
function accepting() {
  const host = testHost();
  host.grant(2, 8, 1, 7, GTF_accept_transfer);
  host.grant(2, 9, 3, 7, GTF_accept_transfer);
  host.grant(2, 10, 1, 7, GTF_permit_access);
  host.grant(2, 11, 1, 7, GTF_accept_transfer | GTF_readonly);
  return host;
}
type Host = ReturnType<typeof accepting>;
const give = (h: Host, frame: number, domid: number, ref: number) =>
  h.grants.transfer(1, { frame, domid, ref });
/** Does something that comes first, and then the operation of the row. */
const after = (_first: unknown, result: number): number => result;
const COMPLETED = GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed;

it.each([1, 2])('gives a frame and its contents away, version %i', (version) => {
  const { grants, memory, grant, flags, frameOf } = accepting();
  grants.setVersion(2, version);
  grant(2, 8, 1, 7, GTF_accept_transfer);
  memory.bytes[20 * 4096] = 77;
  expect(grants.transfer(1, { frame: 20, domid: 2, ref: 8 })).toBe(GNTST_okay);
  expect([flags(2, 8), frameOf(2, 8), memory.owner(20), memory.given.get(20)]).toEqual([COMPLETED, 20, 2, 7]);
  expect([memory.bytes[20 * 4096], memory.stolen.size]).toEqual([77, 0]);
});

it('to itself', () => {
  const { grants, memory, grant } = accepting();
  grant(1, 8, 1, 3, GTF_accept_transfer);
  expect(grants.transfer(1, { frame: 20, domid: 1, ref: 8 })).toBe(GNTST_okay);
  expect([memory.owner(20), memory.given.get(20)]).toEqual([1, 3]);
});

/** Who keeps the frame when it fails. */
type Left = 'kept' | 'lost';
// biome-ignore format: a row is a line
it.each<[what: string, how: (h: Host) => number, status: number, left: Left, source: string]>([
  ['no frame', (h) => give(h, 2 ** 60, 2, 8), GNTST_bad_page, 'kept', 'gnttab_transfer: mfn_valid'],
  ["another's frame", (h) => give(h, 40, 2, 8), GNTST_bad_page, 'kept', 'steal_page: owner'],
  ['a page table', (h) => give(h, 31, 2, 8), GNTST_bad_page, 'kept', 'steal_page: count_info'],
  ['a frame that is mapped', (h) => after(h.memory.getPage(20, 1), give(h, 20, 2, 8)), GNTST_bad_page, 'kept', 'steal_page: count_info'],
  ["a native domain's", (h) => h.grants.transfer(0, { frame: 20, domid: 2, ref: 8 }), GNTST_general_error, 'kept', 'steal_page: paging_mode_external'],
  ['no such domain', (h) => give(h, 20, 9, 8), GNTST_bad_domain, 'lost', 'gnttab_transfer'],
  ['DOMID_SELF', (h) => give(h, 20, DOMID_SELF, 8), GNTST_bad_domain, 'lost', 'gnttab_transfer: rcu_lock_domain_by_id'],
  ['beyond the table', (h) => give(h, 20, 2, 512), GNTST_general_error, 'lost', 'gnttab_prepare_for_transfer'],
  ['for somebody else', (h) => give(h, 20, 2, 9), GNTST_general_error, 'lost', 'gnttab_prepare_for_transfer: domid'],
  ['a grant of access', (h) => give(h, 20, 2, 10), GNTST_general_error, 'lost', 'gnttab_prepare_for_transfer: flags'],
  ['committed already', (h) => give(h, 20, 2, 11), GNTST_general_error, 'lost', 'gnttab_prepare_for_transfer: flags'],
  ['no room', (h) => after(h.memory.full.add(2), give(h, 20, 2, 8)), GNTST_general_error, 'lost', 'gnttab_transfer: max_pages'],
  ['a dying domain', (h) => after(h.grants.setDying(2), give(h, 20, 2, 8)), GNTST_general_error, 'lost', 'gnttab_transfer: is_dying'],
])('fails with %s', (_what, how, status, left) => {
  const host = accepting();
  expect(how(host)).toBe(status);
  expect(host.memory.owner(20)).toBe(left === 'kept' ? 1 : undefined);
  expect([host.memory.stolen.size, host.memory.given.size]).toEqual([0, 0]);
  expect([8, 9, 10, 11].map((ref) => host.flags(2, ref))).toEqual([2, 2, 1, 6]);
});
