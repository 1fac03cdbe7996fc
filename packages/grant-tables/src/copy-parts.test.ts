import {
  DOMID_SELF,
  GNTCOPY_dest_gref,
  GNTCOPY_source_gref,
  GNTMAP_host_map,
  GNTMAP_readonly,
  GNTST_bad_gntref,
  GNTST_eagain,
  GNTST_general_error,
  GNTST_okay,
  GTF_readonly,
} from '@xenolith/xen-abi';
import { expect, it } from 'vitest';
import { testHost } from './testing.js';

const [SRC, DST] = [GNTCOPY_source_gref, GNTCOPY_dest_gref];
const page = (frame: number, offset = 0) => ({ domid: DOMID_SELF, frame, offset });
const ref = (frame: number, offset = 0) => ({ domid: 1, frame, offset });
type End = ReturnType<typeof page>;

/**
 * All use version 2. Domain 1 grants to domain 2: 8 a page, 9 a part to read, 10 a part to write, 11 what domain 3 granted
 * it, 12 the same to read, 13 a part of domain 3's, 14 what is itself passed on, 15 what is its own, 16 no such domain's,
 * 17 of no grant, 18 a part whose offset has 16 bits; 19 passes on what domain 2 granted.
 */
function parts() {
  const host = testHost();
  const { grants, grant, grantPart, memory, passOn } = host;
  for (const domid of [1, 2, 3]) grants.setVersion(domid, 2);
  memory.written.length = 0;
  grant(3, 8, 1, 50);
  grantPart(3, 9, 1, 51, 0x200, 0x100);
  passOn(3, 10, 1, 2, 8);
  grant(2, 8, 1, 41);
  grant(1, 8, 2, 20);
  grantPart(1, 9, 2, 21, 0x100, 0x200, GTF_readonly);
  grantPart(1, 10, 2, 22, 0x100, 0x200);
  passOn(1, 11, 2, 3, 8);
  passOn(1, 12, 2, 3, 8, GTF_readonly);
  passOn(1, 13, 2, 3, 9);
  passOn(1, 14, 2, 3, 10);
  passOn(1, 15, 2, 1, 8);
  passOn(1, 16, 2, 7, 8);
  passOn(1, 17, 2, 3, 100);
  grantPart(1, 18, 2, 23, 0x8010, 0x10);
  passOn(1, 19, 2, 2, 8);
  return host;
}

// biome-ignore format: a row is a line
const table: [what: string, from: End, to: End, length: number, flags: number, status: number, source: string][] = [
  ['a page', ref(8), page(40), 4096, SRC, GNTST_okay, 'acquire_grant_for_copy: full_page'],
  ['a part', ref(9, 0x100), page(40), 0x200, SRC, GNTST_okay, 'acquire_grant_for_copy: sub_page'],
  ['before a part', ref(9, 0xff), page(40), 1, SRC, GNTST_general_error, 'gnttab_copy_buf: src->ptr.offset'],
  ['behind a part', ref(9, 0x2ff), page(40), 2, SRC, GNTST_general_error, 'gnttab_copy_buf: src->len'],
  ['to a part', page(40), ref(10, 0x100), 0x200, DST, GNTST_okay, 'acquire_grant_for_copy: sub_page'],
  ['to before a part', page(40), ref(10, 0xff), 2, DST, GNTST_general_error, 'gnttab_copy_buf: dest->ptr.offset'],
  ['to behind a part', page(40), ref(10, 0x300), 1, DST, GNTST_general_error, 'gnttab_copy_buf: dest->len'],
  ['to a part to read', page(40), ref(9, 0x100), 1, DST, GNTST_general_error, '_set_status_v2: GTF_readonly'],
  ['within a part', ref(10, 0x100), ref(10, 0x180), 0x80, SRC | DST, GNTST_okay, 'acquire_grant_for_copy: old_pin'],
  ['passed on', ref(11), page(40), 4096, SRC, GNTST_okay, 'acquire_grant_for_copy: transitive'],
  ['to what is passed on', page(40), ref(11), 4096, DST, GNTST_okay, 'acquire_grant_for_copy: transitive'],
  ['within what is passed on', ref(11), ref(11, 16), 16, SRC | DST, GNTST_okay, 'acquire_grant_for_copy: old_pin'],
  ['passed on to read', ref(12), page(40), 16, SRC, GNTST_okay, 'acquire_grant_for_copy: transitive'],
  ['to what is passed on to read', page(40), ref(12), 16, DST, GNTST_general_error, '_set_status_v2: GTF_readonly'],
  ['a part passed on', ref(13, 0x200), page(40), 0x100, SRC, GNTST_okay, 'acquire_grant_for_copy: trans_page_off'],
  ['outside of a part passed on', ref(13), page(40), 16, SRC, GNTST_general_error, 'gnttab_copy_buf: src->ptr.offset'],
  ['passed on twice', ref(14), page(40), 16, SRC, GNTST_general_error, 'acquire_grant_for_copy: allow_transitive'],
  ["passed on, but one's own", ref(15), page(40), 16, SRC, GNTST_general_error, 'acquire_grant_for_copy: trans_domid'],
  ['passed on, no such domain', ref(16), page(40), 16, SRC, GNTST_general_error, 'acquire_grant_for_copy: td'],
  ['passed on, no such grant', ref(17), page(40), 16, SRC, GNTST_general_error, '_set_status_v2'],
  ['an offset of 16 bits', ref(18, 0x10), page(40), 0x10, SRC, GNTST_okay, 'struct active_grant_entry: start:15'],
  ['passed back to whose it is', ref(19), page(40), 16, SRC, GNTST_okay, 'acquire_grant_for_copy: trans_domid == ldom'],
  ['beyond the table', ref(256), page(40), 16, SRC, GNTST_bad_gntref, 'acquire_grant_for_copy: nr_grant_entries'],
];
it.each(table)('copy: %s', (_what, source, dest, length, flags, status) => {
  const { grants, memory, status: uses } = parts();
  expect(grants.copy(2, { source, dest, length, flags })).toBe(status);
  expect(memory.refs.some(Boolean) || memory.types.some(Boolean)).toBe(false);
  expect(memory.written).toHaveLength(status === GNTST_okay ? 1 : 0);
  for (let r = 8; r < 20; r++) expect([uses(1, r), uses(3, r)]).toEqual([0, 0]);
  for (const domid of [1, 2, 3]) expect(grants.isIdle(domid)).toBe(true);
  grants.checkInvariants();
});

it('reads the bytes that another passed on', () => {
  const { grants, memory } = parts();
  memory.bytes[51 * 4096 + 0x2ff] = 99;
  grants.copy(2, { source: ref(13, 0x2ff), dest: page(40, 5), length: 1, flags: SRC });
  expect(memory.bytes[40 * 4096 + 5]).toBe(99);
});

it('says try again where a mapped grant has become transitive, and error where it has become another page', () => {
  const { grants, grantPart, passOn } = parts();
  grants.map(2, 0, { hostAddr: 0x1000n, flags: GNTMAP_host_map | GNTMAP_readonly, ref: 8, dom: 1 });
  passOn(1, 8, 2, 3, 8);
  expect(grants.copy(2, { source: ref(8), dest: page(40), length: 16, flags: SRC })).toBe(GNTST_eagain);
  grantPart(1, 8, 2, 24, 0, 16);
  expect(grants.copy(2, { source: page(40), dest: ref(8), length: 16, flags: DST })).toBe(
    GNTST_general_error,
  );
  grants.checkInvariants();
});
