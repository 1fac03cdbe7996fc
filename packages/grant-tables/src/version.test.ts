import { BadInputError } from '@xenolith/host-interface';
import {
  EBUSY,
  ENOMEM,
  ERANGE,
  GNTMAP_device_map,
  GNTMAP_host_map,
  GNTMAP_readonly,
  GNTST_bad_gntref,
  GNTST_bad_page,
  GNTST_general_error,
  GNTST_okay,
  GTF_permit_access,
  GTF_reading,
  GTF_readonly,
  GTF_writing,
} from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { testHost } from './testing.js';

const RW = GNTMAP_host_map;
const RO = GNTMAP_host_map | GNTMAP_readonly;

/** Domain 1 uses version 2 and grants: 8 a page, 9 a page to read, 10 a part of one, 11 what domain 3 granted it. */
function version2() {
  const host = testHost();
  expect(host.grants.setVersion(1, 2)).toEqual({ result: 0, version: 2 });
  host.grant(1, 8, 2, 20);
  host.grant(1, 9, 2, 21, GTF_permit_access | GTF_readonly);
  host.grantPart(1, 10, 2, 22, 0x100, 0x200);
  host.grant(3, 8, 1, 50);
  host.passOn(1, 11, 2, 3, 8);
  const map = (ref: number, flags: number = RW, hostAddr = 0x1000n) =>
    host.grants.map(2, 0, { hostAddr, flags, ref, dom: 1 });
  return { ...host, map };
}

describe('version 2', () => {
  it('shows uses in status words and not in the entry', () => {
    const { map, flags, status, grants } = version2();
    const { handle } = map(8);
    expect([flags(1, 8), status(1, 8)]).toEqual([GTF_permit_access, GTF_reading | GTF_writing]);
    expect(map(9, RO, 0x2000n).status).toBe(GNTST_okay);
    expect(status(1, 9)).toBe(GTF_reading);
    grants.unmap(2, { hostAddr: 0x1000n, devBusAddr: 0n, handle });
    expect(status(1, 8)).toBe(0);
    grants.checkInvariants();
  });

  // biome-ignore format: a row is a line
  it.each<[what: string, ref: number, flags: number, status: number, source: string]>([
    ['whole page', 8, RW, GNTST_okay, 'map_grant_ref'],
    ['writable of read-only', 9, RW, GNTST_general_error, '_set_status_v2: GTF_readonly'],
    ['a part', 10, RO, GNTST_general_error, '_set_status_v2: mapflag, GTF_sub_page'],
    ['transitive', 11, RO, GNTST_general_error, '_set_status_v2: mapflag, GTF_transitive'],
    ['the last entry of the frame', 255, RO, GNTST_general_error, '_set_status_v2'],
    ['beyond: entries are twice as long', 256, RO, GNTST_bad_gntref, 'nr_grant_entries'],
  ])('map, %s', (_what, ref, flags, expected) => {
    const { map, grants, memory } = version2();
    expect(map(ref, flags).status).toBe(expected);
    expect(memory.refs.filter(Boolean)).toHaveLength(expected === GNTST_okay ? 1 : 0);
    grants.checkInvariants();
  });

  it('has frame numbers of 64 bits', () => {
    const { map, grant } = version2();
    grant(1, 8, 2, 2 ** 32 + 20);
    expect(map(8).status).toBe(GNTST_bad_page);
    grant(1, 8, 2, 2 ** 63);
    expect(map(8).status).toBe(GNTST_bad_page);
  });

  it('grows with as many status words', () => {
    const { grants } = testHost({ maxFrames: 12 });
    grants.setupTable(1, 1, 8);
    grants.setVersion(1, 2);
    expect(grants.getStatusFrames(1, 1, 1).frames).toHaveLength(1);
    expect(grants.getStatusFrames(1, 1, 2).status).toBe(GNTST_general_error);
    expect(grants.setupTable(1, 1, 9).frames).toHaveLength(9);
    expect(grants.getStatusFrames(1, 1, 2).frames).toHaveLength(2);
  });

  it('grows whole or not at all', () => {
    const { grants, memory } = testHost({ maxFrames: 12 });
    grants.setupTable(1, 1, 8);
    grants.setVersion(1, 2);
    memory.tables.length = 1; // Enough for the entries, not for their status words.
    expect(grants.setupTable(1, 1, 9).status).toBe(GNTST_general_error);
    expect([grants.querySize(1, 1).frames, memory.tables.length]).toEqual([8, 1]);
  });

  it('swaps status words too', () => {
    const { grants, memory, frameOf, status } = version2();
    const at = grants.getStatusFrames(1, 1, 1).frames[0]! * 4096 + 8 * 2;
    new DataView(memory.bytes.buffer).setUint16(at, 0x1234, true);
    expect(grants.swap(1, 8, 9)).toBe(GNTST_okay);
    expect([frameOf(1, 8), frameOf(1, 9), status(1, 8), status(1, 9)]).toEqual([21, 20, 0, 0x1234]);
  });
});

describe('set_version', () => {
  it('keeps the reserved entries and their uses, and clears the rest', () => {
    const { grants, grant, flags, status, frameOf } = testHost();
    grant(1, 0, 0, 24);
    grant(1, 7, 0, 25, GTF_permit_access | GTF_readonly);
    grant(1, 8, 2, 26);
    const console = grants.mapForNative(0, 1, 0, false);
    expect(console).not.toBeTypeOf('number');
    expect(grants.setVersion(1, 2)).toEqual({ result: 0, version: 2 });
    expect([flags(1, 0), status(1, 0), frameOf(1, 0)]).toEqual([1, GTF_reading | GTF_writing, 24]);
    expect([flags(1, 7), frameOf(1, 7), flags(1, 8), frameOf(1, 8)]).toEqual([5, 25, 0, 0]);
    expect(grants.setVersion(1, 1)).toEqual({ result: 0, version: 1 });
    expect([flags(1, 0), frameOf(1, 0)]).toEqual([1 | GTF_reading | GTF_writing, 24]);
    expect([flags(1, 7), frameOf(1, 7)]).toEqual([5, 25]);
    grants.checkInvariants();
    if (typeof console !== 'number') grants.unmapForNative(0, console);
    expect(flags(1, 0)).toBe(1);
  });

  // biome-ignore format: a row is a line
  it.each<
    [what: string, how: (h: ReturnType<typeof version2>) => unknown, version: number, result: number, source: string]
  >([
    ['an entry in use', (h) => h.map(8), 1, -EBUSY, 'gnttab_set_version: pin'],
    ['a device mapping', (h) => h.map(8, GNTMAP_device_map), 1, -EBUSY, 'gnttab_set_version: pin'],
    ['status words mapped', (h) => h.memory.mappedTables.add(h.grants.getStatusFrames(1, 1, 1).frames[0]!), 1, -EBUSY, 'gnttab_unpopulate_status_frames'],
    ['entries mapped', (h) => h.memory.mappedTables.add(h.grants.setupTable(1, 1, 1).frames[0]!), 1, 0, 'gnttab_set_version'],
    ['a reserved frame above 32 bits', (h) => h.grant(1, 3, 0, 2 ** 32), 1, -ERANGE, 'gnttab_set_version: non-representable entries'],
    ['a reserved transitive entry', (h) => h.passOn(1, 3, 0, 3, 8), 1, -ERANGE, 'gnttab_set_version: non-representable entries'],
    ['a reserved entry of no type', (h) => h.grant(1, 3, 0, 2 ** 32, 0), 1, 0, 'gnttab_set_version: GTF_invalid'],
    ['the same', (h) => h.map(8), 2, 0, 'gnttab_set_version: gt_version'],
  ])('with %s', (_what, how, version, result) => {
    const host = version2();
    how(host);
    const before = [...host.memory.bytes];
    expect(host.grants.setVersion(1, version)).toEqual({ result, version: result === 0 ? version : 2 });
    if (result !== 0) expect([...host.memory.bytes]).toEqual(before);
    host.grants.checkInvariants();
  });

  it('drops a reserved entry that version 1 does not know', () => {
    const { grants, grant, flags } = version2();
    grant(1, 3, 0, 20, 2);
    expect(grants.setVersion(1, 1).result).toBe(0);
    expect(flags(1, 3)).toBe(0);
  });

  it('needs memory for the status words', () => {
    const { grants, memory } = testHost();
    memory.tables.length = 0;
    expect(grants.setVersion(1, 2)).toEqual({ result: -ENOMEM, version: 1 });
  });

  it('and back again returns every frame', () => {
    const { grants, memory } = testHost();
    const before = memory.tables.length;
    for (let i = 0; i < 40; i++) grants.setVersion(1, i % 2 ? 1 : 2);
    expect(memory.tables).toHaveLength(before);
    grants.setVersion(1, 2);
    grants.setDying(1);
    grants.removeDomain(1);
    expect(memory.tables).toHaveLength(before + 1);
  });
});

it.each([
  { maxFrames: 0 },
  { maxFrames: 65 },
  { maxVersion: 0 },
  { maxVersion: 3 },
  { maxMaptrackFrames: 1025 },
  { maxFrames: 1.5 },
])('a domain cannot have %o (grant_table_init)', (limits) => {
  expect(() => testHost(limits)).toThrow(BadInputError);
});

it('a domain without maptrack frames maps nothing', () => {
  const { grants, grant } = testHost({ maxMaptrackFrames: 0 });
  grant(2, 8, 1, 40);
  expect(grants.map(1, 0, { hostAddr: 0x1000n, flags: RW, ref: 8, dom: 2 }).status).toBe(-13);
});
