import {
  DOMID_SELF,
  GNTCOPY_dest_gref,
  GNTCOPY_source_gref,
  GNTMAP_host_map,
  GNTST_bad_copy_arg,
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_bad_page,
  GNTST_general_error,
  GNTST_okay,
  GNTST_permission_denied,
  GTF_permit_access,
  GTF_readonly,
} from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { testHost } from './testing.js';

function granted() {
  const host = testHost();
  host.grant(1, 8, 2, 20);
  host.grant(1, 9, 2, 21, GTF_permit_access | GTF_readonly);
  host.grant(1, 11, 2, 31);
  host.grant(1, 12, 0, 22);
  host.memory.bytes.set([1, 2, 3, 4], 20 * 4096 + 100);
  host.memory.bytes.set([5, 6, 7, 8], 40 * 4096 + 4092);
  return host;
}

const page = (frame: number, offset = 0) => ({ domid: DOMID_SELF, frame, offset });
const ref = (frame: number, offset = 0, domid = 1) => ({ domid, frame, offset });
const [SRC, DST] = [GNTCOPY_source_gref, GNTCOPY_dest_gref];

describe('copy', () => {
  type End = ReturnType<typeof page>;
  // biome-ignore format: a row is a line
  const table: [string, from: End, to: End, length: number, flags: number, status: number, source: string][] = [
    ['from a grant', ref(8), page(40), 4096, SRC, GNTST_okay, 'gnttab_copy_one'],
    ['from a read-only grant', ref(9), page(40), 16, SRC, GNTST_okay, '_set_status_v1'],
    ['to a grant', page(40), ref(8), 16, DST, GNTST_okay, 'gnttab_copy_one'],
    ['to a read-only grant', page(40), ref(9), 16, DST, GNTST_general_error, '_set_status_v1: GTF_readonly'],
    ['from one grant to another', ref(9), ref(8), 16, SRC | DST, GNTST_okay, 'gnttab_copy_one'],
    ['within a grant', ref(8), ref(8, 8), 16, SRC | DST, GNTST_okay, 'acquire_grant_for_copy: old_pin'],
    ['between own frames', page(40), page(41), 16, 0, GNTST_okay, 'gnttab_copy_claim_buf'],
    ['nothing', ref(8), page(40), 0, SRC, GNTST_okay, 'gnttab_copy_buf'],
    ["another domain's frame without a grant", ref(20), page(40), 16, 0, GNTST_permission_denied, 'gnttab_copy_lock_domain'],
    ['no such domain', ref(8, 0, 7), page(40), 16, SRC, GNTST_bad_domain, 'gnttab_copy_lock_domain'],
    ['beyond the table', ref(512), page(40), 16, SRC, GNTST_bad_gntref, 'acquire_grant_for_copy: nr_grant_entries'],
    ['for somebody else', ref(12), page(40), 16, SRC, GNTST_general_error, '_set_status_v1: domid'],
    ['an empty entry', ref(50), page(40), 16, SRC, GNTST_general_error, '_set_status_v1: flags'],
    ["a frame that is not one's own", page(20), page(40), 16, 0, GNTST_bad_page, 'get_paged_frame'],
    ['to a page table of a grant', page(40), ref(11), 16, DST, GNTST_general_error, 'gnttab_copy_claim_buf: get_page_type'],
    ["to one's own page table", page(40), page(47), 16, 0, GNTST_general_error, 'gnttab_copy_claim_buf: get_page_type'],
    ['from a page table', ref(11), page(40), 16, SRC, GNTST_okay, 'gnttab_copy_claim_buf'],
    ['leaving the source page', ref(8, 4090), page(40), 16, SRC, GNTST_bad_copy_arg, 'gnttab_copy_buf: source.offset'],
    ['leaving the target page', ref(8), page(40, 4090), 16, SRC, GNTST_bad_copy_arg, 'gnttab_copy_buf: dest.offset'],
    ['leaving both, of a bad grant', ref(50, 4090), page(40), 16, SRC, GNTST_general_error, 'gnttab_copy_one: claims come first'],
  ];
  it.each(table)('%s', (_name, source, dest, length, flags, status) => {
    const { grants, memory } = granted();
    expect(grants.copy(2, { source, dest, length, flags })).toBe(status);
    expect(memory.refs.some(Boolean) || memory.types.some(Boolean)).toBe(false);
    expect(memory.written.length).toBe(status === GNTST_okay && length ? 1 : 0);
    expect(grants.isIdle(1)).toBe(true);
    grants.checkInvariants();
  });

  it('copies bytes both ways', () => {
    const { grants, memory } = granted();
    grants.copy(2, { source: ref(8, 100), dest: page(41, 4), length: 4, flags: SRC });
    expect([...memory.bytes.slice(41 * 4096 + 3, 41 * 4096 + 9)]).toEqual([0, 1, 2, 3, 4, 0]);
    grants.copy(2, { source: page(40, 4092), dest: ref(8, 4092), length: 4, flags: DST });
    expect([...memory.bytes.slice(21 * 4096 - 4, 21 * 4096)]).toEqual([5, 6, 7, 8]);
    expect(memory.written).toEqual(['41+4:4', '20+4092:4']);
  });

  it('of a grant that is mapped: uses its frame, and fails when the granter has put in another', () => {
    const { grants, grant } = granted();
    grants.map(2, 0, { hostAddr: 0x1000n, flags: GNTMAP_host_map, ref: 8, dom: 1 });
    grant(1, 8, 2, 25);
    const copy = { source: ref(8), dest: page(40), length: 16, flags: SRC };
    expect(grants.copy(2, copy)).toBe(GNTST_okay);
    grants.map(2, 0, { hostAddr: 0x2000n, flags: GNTMAP_host_map | 4, ref: 9, dom: 1 });
    grant(1, 9, 2, 26);
    expect(grants.copy(2, { source: page(40), dest: ref(9), length: 16, flags: DST })).toBe(
      GNTST_general_error,
    );
    grants.setDying(1);
    expect(grants.copy(2, copy)).toBe(GNTST_bad_domain);
    grants.checkInvariants();
  });
});
