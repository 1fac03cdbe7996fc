import {
  GNTCOPY_dest_gref,
  GNTCOPY_source_gref,
  GNTMAP_device_map,
  GNTMAP_host_map,
  GNTMAP_readonly,
  GNTST_bad_handle,
  GNTST_general_error,
  GNTST_okay,
  GTF_permit_access,
  GTF_reading,
  GTF_readonly,
  GTF_writing,
} from '@xenolith/xen-abi';
import { beforeEach, describe, expect, it } from 'vitest';
import { testHost } from './testing.js';

// Xen's security advisories about grants (https://xenbits.xen.org/xsa/), in our own words.

const RW = GNTMAP_host_map;
const RO = GNTMAP_host_map | GNTMAP_readonly;
const BOTH = GNTMAP_host_map | GNTMAP_device_map;

let host: ReturnType<typeof testHost>;
beforeEach(() => {
  host = testHost();
  host.grant(1, 8, 2, 20);
  host.grant(1, 9, 2, 21, GTF_permit_access | GTF_readonly);
});
const map = (ref: number, flags: number, hostAddr = 0x1000n) =>
  host.grants.map(2, 0, { hostAddr, flags, ref, dom: 1 });
const unmap = (handle: number, hostAddr: bigint, devBusAddr = 0n) =>
  host.grants.unmap(2, { handle, hostAddr, devBusAddr });
const references = () => [host.memory.refs[20], host.memory.types[20]];

describe('known classes of faults', () => {
  it('XSA-218, XSA-228: a handle is good once: the second unmap finds nothing and gives nothing back', () => {
    const first = map(8, RW, 0x1000n);
    const second = map(8, RW, 0x2000n);
    expect(unmap(first.handle, 0x1000n)).toBe(GNTST_okay);
    for (let i = 0; i < 3; i++) expect(unmap(first.handle, 0x2000n)).toBe(GNTST_bad_handle);
    expect(references()).toEqual([1, 1]);
    expect(unmap(second.handle, 0x2000n)).toBe(GNTST_okay);
    expect([references(), host.flags(1, 8)]).toEqual([[0, 0], GTF_permit_access]);
    host.grants.checkInvariants();
  });

  it('XSA-224: of a mapping for host and device each half holds its own, and may go first', () => {
    for (const [first, then] of [
      [
        [0x1000n, 0n],
        [0n, 20n * 4096n],
      ],
      [
        [0n, 20n * 4096n],
        [0x1000n, 0n],
      ],
    ] as const) {
      const { handle } = map(8, BOTH);
      expect(references()).toEqual([2, 2]);
      expect(unmap(handle, first[0], first[1])).toBe(GNTST_okay);
      expect(references()).toEqual([1, 1]);
      host.grants.checkInvariants();
      expect(unmap(handle, then[0], then[1])).toBe(GNTST_okay);
      expect(references()).toEqual([0, 0]);
    }
  });

  it('XSA-230: the entry says that it is in use as long as anybody uses it', () => {
    const [reader, writer] = [map(8, RO, 0x1000n), map(8, RW, 0x2000n)];
    expect(host.flags(1, 8)).toBe(GTF_permit_access | GTF_reading | GTF_writing);
    unmap(writer.handle, 0x2000n);
    expect(host.flags(1, 8)).toBe(GTF_permit_access | GTF_reading);
    unmap(reader.handle, 0x1000n);
    expect(host.flags(1, 8)).toBe(GTF_permit_access);
  });

  it('XSA-234, XSA-235: a mapping goes with its own entry only; another address changes nothing', () => {
    const { handle } = map(8, RW);
    for (const address of [0x2000n, 0x1001n, 0xffff_8000_0000_0000n]) {
      expect(unmap(handle, address)).toBe(GNTST_general_error);
      expect(references()).toEqual([1, 1]);
    }
    host.grants.checkInvariants();
  });

  it('XSA-236: what the granter writes while a grant is in use moves neither frame nor right', () => {
    const { handle } = map(8, RO);
    host.grant(1, 8, 2, 22, GTF_permit_access);
    const second = map(8, RW, 0x2000n);
    // Whatever came of it, the first frame is held for the first mapping until that goes.
    expect(host.memory.refs[20]).toBeGreaterThan(0);
    if (second.status === GNTST_okay) unmap(second.handle, 0x2000n);
    unmap(handle, 0x1000n);
    expect([host.memory.refs[20], host.memory.refs[22]]).toEqual([0, 0]);
    host.grants.checkInvariants();
  });

  it('XSA-255, XSA-382: a read-only grant is never written, by mapping or by copy', () => {
    expect(map(9, RW).status).toBe(GNTST_general_error);
    const toGrant = {
      source: { domid: 2, frame: 40, offset: 0 },
      dest: { domid: 1, frame: 9, offset: 0 },
      length: 8,
      flags: GNTCOPY_dest_gref,
    };
    expect(host.grants.copy(2, toGrant)).toBeLessThan(0);
    expect(host.memory.written).toEqual([]);
    expect(host.flags(1, 9)).toBe(GTF_permit_access | GTF_readonly);
    host.grants.checkInvariants();
  });

  it('XSA-313, XSA-316: a failed element is a negative status, and leaves nothing held', () => {
    expect(map(8, RW, 0xbadn).status).toBe(GNTST_general_error);
    expect([references(), host.flags(1, 8)]).toEqual([[0, 0], GTF_permit_access]);
    const across = {
      source: { domid: 1, frame: 8, offset: 4000 },
      dest: { domid: 2, frame: 40, offset: 0 },
      length: 200,
      flags: GNTCOPY_source_gref,
    };
    expect(host.grants.copy(2, across)).toBeLessThan(0);
    expect([references(), host.flags(1, 8)]).toEqual([[0, 0], GTF_permit_access]);
    host.grants.checkInvariants();
  });

  it('XSA-380, XSA-384: a mapper that dies lets go of everything that it mapped, at once', () => {
    for (let i = 0n; i < 100n; i++) map(i % 2n ? 8 : 9, i % 2n ? BOTH : RO, 0x1000n * (i + 1n));
    host.grants.setDying(2);
    expect([host.grants.isIdle(1), host.flags(1, 8), host.flags(1, 9)]).toEqual([
      true,
      GTF_permit_access,
      GTF_permit_access | GTF_readonly,
    ]);
    host.grants.removeDomain(2);
    host.grants.checkInvariants();
  });

  it('XSA-295, XSA-226: handles run out as an error and not as memory', () => {
    let made = 0;
    while (map(8, RO, 0x1000n * BigInt(made + 1)).status === GNTST_okay) made++;
    // A frame of handles, one of which is never used.
    expect(made).toBeLessThanOrEqual(256);
    host.grants.checkInvariants();
  });
});
