import { FrameType } from '@xenolith/mmu/frames';
import {
  EINVAL,
  GNTMAP_contains_pte,
  GNTMAP_host_map,
  GNTST_general_error,
  MMUEXT_NEW_USER_BASEPTR,
  MMUEXT_PIN_L1_TABLE,
  MMUEXT_PIN_L2_TABLE,
  MMUEXT_PIN_L4_TABLE,
  MMUEXT_UNPIN_TABLE,
} from '@xenolith/xen-abi';
import { beforeEach, describe, expect, test } from 'vitest';
import { setGdt } from '../memory/descriptors.js';
import { createGrantMapping } from '../memory/grant-mapping.js';
import { ldtFrame } from '../memory/ldt.js';
import { emulatePtWrite } from '../memory/pt-write.js';
import { BASE, PFN, RO, RW, type SmallGuest, TestHost } from '../memory/testing/small-guest.js';

// Xen's security advisories about page tables and the types of frames (https://xenbits.xen.org/xsa/), in our own words.

let host: TestHost;
let guest: SmallGuest;
beforeEach(() => {
  host = new TestHost();
  guest = host.guest();
});

const mfn = (pfn: number): bigint => BigInt(guest.mfns[pfn]);
const set = (table: number, slot: number, value: bigint): number =>
  guest.mmuUpdate([[guest.slot(table, slot), value]])[0];
const makeReadOnly = (...pfns: number[]): void => {
  for (const pfn of pfns) expect(guest.updateVa(guest.va(pfn), guest.entry(pfn, RO))).toBe(0);
};
const PSE = 0x80n;
const L2_SLOT = Number(BASE >> 21n);

describe('flags of an entry that is there are checked as those of a new one', () => {
  test.each([
    [
      'XSA-148: a large page in place of an L1 table',
      () => set(PFN.l2, L2_SLOT, guest.entry(PFN.l1, RW | PSE)),
    ],
    ['XSA-148: of an L2 table', () => set(PFN.l3, 0, guest.entry(PFN.l2, RW | PSE))],
    [
      'XSA-182: a root table that maps itself becomes writable',
      () => set(PFN.l4, 300, guest.entry(PFN.l4, RO)) || set(PFN.l4, 300, guest.entry(PFN.l4, RW)),
    ],
    [
      'XSA-182: the same of an L3 table',
      () => set(PFN.l3, 300, guest.entry(PFN.l3, RO)) || set(PFN.l3, 300, guest.entry(PFN.l3, RW)),
    ],
    ['XSA-243: an L4 entry for the slots of Xen itself', () => set(PFN.l4, 256, guest.entry(PFN.l3, RO))],
  ])('%s is refused', (_name, attempt) => {
    expect(attempt()).toBe(-EINVAL);
    expect(host.recount()).toEqual([]);
  });

  test('a table that is mapped read-only does not become writable in place', () => {
    const before = guest.peek(PFN.l1, PFN.l2);
    expect(set(PFN.l1, PFN.l2, guest.entry(PFN.l2, RW))).toBeLessThan(0);
    expect(guest.peek(PFN.l1, PFN.l2)).toBe(before);
    expect(host.recount()).toEqual([]);
  });
});

describe('tables that are half validated', () => {
  /** An L2 table of three good entries and one that cannot be. */
  const badL2 = (): void => {
    makeReadOnly(20, 21, 22);
    for (const [slot, pfn] of [20, 21, 22].entries()) guest.poke(23, slot, guest.entry(pfn, RW));
    guest.poke(23, 511, guest.entry(9, RW));
    makeReadOnly(23);
  };

  test('XSA-299, XSA-310: what fails at its last entry gives back all that it took, time after time', () => {
    badL2();
    const { frames } = host.memory;
    for (let i = 0; i < 5; i++) {
      expect(guest.mmuext([[MMUEXT_PIN_L2_TABLE, mfn(23)]])[0]).toBe(-EINVAL);
      expect(host.recount()).toEqual([]);
      expect([20, 21, 22].map((pfn) => frames.typeReferences(guest.mfns[pfn]))).toEqual([0, 0, 0]);
    }
    // Nothing keeps the pages from being plain memory again.
    for (const pfn of [20, 21, 22, 23]) expect(guest.updateVa(guest.va(pfn), guest.entry(pfn, RW))).toBe(0);
  });

  test('XSA-242: an entry that could not be exchanged leaks no reference of the old frame', () => {
    for (let i = 0; i < 3; i++) expect(set(PFN.l2, L2_SLOT, guest.entry(9, RW))).toBe(-EINVAL);
    expect(host.recount()).toEqual([]);
  });

  test('XSA-296, XSA-298: a frame in use as a table is nothing else, whoever asks', () => {
    makeReadOnly(20);
    expect(guest.mmuext([[MMUEXT_PIN_L1_TABLE, mfn(20)]])[0]).toBe(0);
    expect(host.memory.frames.getPageType(guest.mfns[20], FrameType.segDesc)).toBe(-EINVAL);
    guest.poke(9, 0, mfn(20));
    expect(setGdt(host.memory, guest.vcpu, guest, guest.va(9), 512)).toBe(-EINVAL);
    expect(host.recount()).toEqual([]);
  });
});

describe('linear page tables', () => {
  test('XSA-240: chains end at the second table, so nothing recurses', () => {
    makeReadOnly(20, 21, 22);
    for (const pfn of [20, 21, 22]) expect(guest.mmuext([[MMUEXT_PIN_L4_TABLE, mfn(pfn)]])[0]).toBe(0);
    expect(set(20, 300, guest.entry(21, RO))).toBe(0);
    expect(set(21, 300, guest.entry(22, RO))).toBe(-EINVAL);
    expect(set(22, 300, guest.entry(20, RO))).toBe(-EINVAL);
    expect(host.recount()).toEqual([]);
  });

  test('XSA-286: a higher entry that is changed makes the TLB forget all that went through it', () => {
    set(PFN.l4, 300, guest.entry(PFN.l4, RO));
    const full = host.tlb.full;
    expect(set(PFN.l4, 300, 0n)).toBe(0);
    expect(host.tlb.full).toBeGreaterThan(full);
  });
});

describe('stale translations', () => {
  test('XSA-401: write translations are gone before a page is checked as a table', () => {
    guest.updateVa(guest.va(20), 0n);
    host.tlb.writesForgotten.length = 0;
    let forgottenFirst = false;
    const { validator } = host.memory.frames;
    host.memory.frames.validator = {
      promote(frame, type) {
        if (frame === guest.mfns[20]) forgottenFirst = host.tlb.writesForgotten.includes(frame);
        return validator!.promote(frame, type);
      },
      demote: (frame, type) => validator!.demote(frame, type),
    };
    expect(guest.mmuext([[MMUEXT_PIN_L1_TABLE, mfn(20)]])[0]).toBe(0);
    expect(forgottenFirst).toBe(true);
  });

  test('a frame that goes to another domain is known to no TLB', () => {
    host.memory.frames.noteFullFlush();
    guest.updateVa(guest.va(20), 0n);
    const full = host.tlb.full;
    expect(host.memory.frames.dropAllocation(guest.mfns[20])).toBe(true);
    guest.domain.totPages--;
    let taken = -1;
    while (taken !== guest.mfns[20]) taken = host.memory.frames.allocate(1);
    expect(host.tlb.full).toBeGreaterThan(full);
  });
});

describe('descriptor tables', () => {
  test('XSA-298: pages of the LDT are held while they are seen, and are no writable memory then', () => {
    guest.vcpu.ldtBase = guest.va(9);
    guest.vcpu.ldtEntries = 8192;
    expect(guest.updateVa(guest.va(9), guest.entry(9, RO))).toBe(0);
    expect(ldtFrame(host.memory, guest.vcpu, 0)).toBe(guest.mfns[9]);
    expect(guest.updateVa(guest.va(9), guest.entry(9, RW))).toBeLessThan(0);
    expect(host.recount()).toEqual([]);
  });

  test('a GDT of frames that are not the guest’s, or of a page table, takes nothing', () => {
    guest.poke(9, 0, mfn(10));
    guest.poke(9, 1, mfn(PFN.l1));
    expect(setGdt(host.memory, guest.vcpu, guest, guest.va(9), 1024)).toBe(-EINVAL);
    expect(guest.vcpu.gdtFrames).toEqual([]);
    expect(host.recount()).toEqual([]);
  });
});

describe('entries by other ways', () => {
  test('XSA-227: a grant is mapped at an aligned entry of an L1 table only', () => {
    const flags = GNTMAP_host_map | GNTMAP_contains_pte;
    for (const low of [1n, 4n, 7n]) {
      const at = guest.slot(PFN.l1, 200) + low;
      expect(createGrantMapping(host.memory, guest.vcpu, at, guest.mfns[9], flags)).toBe(GNTST_general_error);
    }
    for (const pfn of [PFN.l2, PFN.l3, PFN.l4, 9]) {
      const at = guest.slot(pfn, 200);
      expect(createGrantMapping(host.memory, guest.vcpu, at, guest.mfns[9], flags)).toBe(GNTST_general_error);
    }
    expect(host.recount()).toEqual([]);
  });

  test('XSA-176 and its like: an emulated write cannot make what a request may not', () => {
    const bytes = (value: bigint) => new Uint8Array(BigUint64Array.of(value).buffer);
    for (const value of [
      guest.entry(PFN.l1, RW),
      guest.entry(9, RW | PSE),
      (BigInt(host.memory.m2p.l3) << 12n) | RW,
    ]) {
      expect(emulatePtWrite(host.memory, guest.vcpu, guest.va(PFN.l1) + 1600n, bytes(value))).toBe(false);
    }
    expect(guest.peek(PFN.l1, 200)).toBe(0n);
    expect(host.recount()).toEqual([]);
  });

  test('the user’s root table is held like the kernel’s, and given up with it', () => {
    makeReadOnly(20);
    expect(guest.mmuext([[MMUEXT_NEW_USER_BASEPTR, mfn(20)]])[0]).toBe(0);
    expect(guest.updateVa(guest.va(20), guest.entry(20, RW))).toBeLessThan(0);
    expect(guest.mmuext([[MMUEXT_UNPIN_TABLE, mfn(20)]])[0]).toBe(-EINVAL);
    expect(guest.mmuext([[MMUEXT_NEW_USER_BASEPTR, 0n]])[0]).toBe(0);
    expect(guest.updateVa(guest.va(20), guest.entry(20, RW))).toBe(0);
    expect(host.recount()).toEqual([]);
  });
});
