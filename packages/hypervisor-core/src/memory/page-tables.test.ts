import { FrameType } from '@xenolith/mmu/frames';
import {
  DOMID_IO,
  EBUSY,
  EINVAL,
  EPERM,
  ESRCH,
  MMU_MACHPHYS_UPDATE,
  MMU_PT_UPDATE_PRESERVE_AD,
  MMUEXT_NEW_BASEPTR,
  MMUEXT_NEW_USER_BASEPTR,
  MMUEXT_PIN_L1_TABLE,
  MMUEXT_PIN_L2_TABLE,
  MMUEXT_PIN_L3_TABLE,
  MMUEXT_PIN_L4_TABLE,
  MMUEXT_UNPIN_TABLE,
} from '@xenolith/xen-abi';
import { beforeEach, describe, expect, test } from 'vitest';
import { P, PFN, RO, RW, type SmallGuest, TestHost } from './testing/small-guest.js';

let host: TestHost;
let guest: SmallGuest;
beforeEach(() => {
  host = new TestHost();
  guest = host.guest();
});

const mfn = (pfn: number): bigint => BigInt(guest.mfns[pfn]);

describe('a guest that starts', () => {
  test('has validated tables with the references of their entries', () => {
    const { frames } = host.memory;
    expect(frames.type(guest.mfns[PFN.l4])).toBe(FrameType.l4);
    expect(frames.type(guest.mfns[PFN.l1])).toBe(FrameType.l1);
    expect(frames.typeReferences(guest.mfns[PFN.l4])).toBe(2);
    expect(frames.isUsedAs(guest.mfns[PFN.data], FrameType.writable)).toBe(true);
    expect(host.recount()).toEqual([]);
  });

  test('sees the user bit that Xen adds, global for user entries and a mark on kernel entries', () => {
    expect(guest.mmuUpdate([[guest.slot(PFN.l1, 100), guest.entry(9, P)]])).toEqual([0, 1]);
    expect(guest.peek(PFN.l1, 100)).toBe(guest.entry(9, RO) | (1n << 52n));
    expect(guest.peek(PFN.l1, 5)).toBe(guest.entry(5, RW) | 0x100n);
    expect(guest.mmuUpdate([[guest.slot(PFN.l2, 7), guest.entry(PFN.l1, P)]])).toEqual([0, 1]);
    expect(guest.peek(PFN.l2, 7) & 0xfffn).toBe(0x5n);
    // An L4 entry is always accessed.
    expect(guest.peek(PFN.l4, 0) & 0xfffn).toBe(0x27n);
  });

  test('finds the M2P in slot 256 of its root table, and nothing in the rest of Xen’s slots', () => {
    const entry = guest.peek(PFN.l4, 256);
    expect(Number((entry >> 12n) & 0xfffffn)).toBe(host.memory.m2p.l3);
    expect(entry & 0x2n).toBe(0n);
    for (let slot = 257; slot < 272; slot++) expect(guest.peek(PFN.l4, slot)).toBe(0n);
  });
});

describe('hostile entries', () => {
  const tryEntry = (value: bigint): number => {
    const before = guest.peek(PFN.l1, 200);
    const [rc] = guest.mmuUpdate([[guest.slot(PFN.l1, 200), value]]);
    if (rc !== 0) expect(guest.peek(PFN.l1, 200)).toBe(before);
    expect(host.recount()).toEqual([]);
    return rc;
  };

  test('another domain’s frame, a free frame, Xen’s frame', () => {
    const other = host.guest(2);
    expect(tryEntry((BigInt(other.mfns[9]) << 12n) | RO)).toBe(-EBUSY);
    expect(tryEntry((BigInt(host.machine.frames - 1) << 12n) | RO)).toBe(-EBUSY);
    expect(tryEntry((BigInt(host.memory.m2p.l3) << 12n) | RO)).toBe(-EBUSY);
    expect(tryEntry((BigInt(host.memory.m2p.storage[0]) << 12n) | RO)).toBe(-EBUSY);
    expect(tryEntry((1n << 12n) | RO)).toBe(-EBUSY);
  });

  test('no memory at all', () => {
    expect(tryEntry((BigInt(host.machine.frames) << 12n) | RO)).toBe(-EPERM);
    expect(tryEntry((1n << 45n) | RO)).toBe(-EPERM);
    expect(tryEntry(0x000f_ffff_ffff_f000n | RO)).toBe(-EINVAL);
  });

  test('a writable mapping of any page table', () => {
    for (const pfn of [PFN.l1, PFN.l2, PFN.l3, PFN.l4]) expect(tryEntry(guest.entry(pfn, RW))).toBe(-EBUSY);
    expect(tryEntry(guest.entry(PFN.l4, RO))).toBe(0);
  });

  test('memory-type bits', () => {
    for (const bit of [0x8n, 0x10n, 0x80n]) expect(tryEntry(guest.entry(9, RO | bit))).toBe(-EINVAL);
    expect(tryEntry(guest.entry(9, RO | 0x100n))).toBe(0);
  });

  test('higher tables: large pages, wrong levels, writable frames, another domain’s table', () => {
    const other = host.guest(2);
    const l2 = (value: bigint): number => guest.mmuUpdate([[guest.slot(PFN.l2, 9), value]])[0];
    for (const bit of [0x8n, 0x10n, 0x80n, 0x100n]) expect(l2(guest.entry(PFN.l1, RW | bit))).toBe(-EINVAL);
    expect(l2(guest.entry(PFN.l3, RW))).toBe(-EINVAL);
    expect(l2(guest.entry(PFN.l4, RO))).toBe(-EINVAL);
    expect(l2(guest.entry(PFN.data, RW))).toBe(-EINVAL);
    expect(l2((BigInt(other.mfns[PFN.l1]) << 12n) | RW)).toBe(-EINVAL);
    expect(l2(guest.entry(PFN.l1, RW))).toBe(0);
    expect(host.recount()).toEqual([]);
  });

  test('Xen’s slots of a root table', () => {
    for (const slot of [256, 258, 271]) {
      expect(guest.mmuUpdate([[guest.slot(PFN.l4, slot), guest.entry(PFN.l3, RW)]])[0]).toBe(-EINVAL);
      expect(guest.mmuUpdate([[guest.slot(PFN.l4, slot), 0n]])[0]).toBe(-EINVAL);
    }
    expect(guest.mmuUpdate([[guest.slot(PFN.l4, 272), guest.entry(PFN.l3, RW)]])[0]).toBe(0);
  });

  test('what a guest left in Xen’s slots before pinning is gone', () => {
    expect(guest.updateVa(guest.va(20), 0n)).toBe(0);
    guest.poke(20, 256, guest.entry(9, RW));
    guest.poke(20, 260, guest.entry(9, RW));
    expect(guest.mmuext([[MMUEXT_PIN_L4_TABLE, mfn(20)]])).toEqual([0, 1]);
    expect(guest.peek(20, 260)).toBe(0n);
    expect(guest.mmuext([[MMUEXT_NEW_BASEPTR, mfn(20)]])).toEqual([0, -1]); // it maps nothing, not even the counter
    expect(Number((guest.peek(20, 256) >> 12n) & 0xfffffn)).toBe(host.memory.m2p.l3);
    expect(host.recount()).toEqual([]);
  });
});

describe('linear page tables', () => {
  test('a table may map itself read-only, at every level above 1', () => {
    for (const pfn of [PFN.l4, PFN.l3, PFN.l2]) {
      expect(guest.mmuUpdate([[guest.slot(pfn, 300), guest.entry(pfn, RW)]])[0]).toBe(-EINVAL);
      expect(guest.mmuUpdate([[guest.slot(pfn, 300), guest.entry(pfn, RO)]])[0]).toBe(0);
      expect(host.recount()).toEqual([]);
    }
    expect(guest.mmuUpdate([[guest.slot(PFN.l4, 300), 0n]])[0]).toBe(0);
    expect(host.recount()).toEqual([]);
  });

  test('root tables may map each other, but a table in such use maps no other itself', () => {
    guest.updateVa(guest.va(20), guest.entry(20, RO));
    guest.updateVa(guest.va(21), guest.entry(21, RO));
    expect(
      guest.mmuext([
        [MMUEXT_PIN_L4_TABLE, mfn(20)],
        [MMUEXT_PIN_L4_TABLE, mfn(21)],
      ])[0],
    ).toBe(0);
    const set = (table: number, to: number): number =>
      guest.mmuUpdate([[guest.slot(table, 300), guest.entry(to, RO)]])[0];
    expect(set(20, PFN.l4)).toBe(0);
    expect(set(PFN.l4, 21)).toBe(-EINVAL); // the used one may not use
    expect(set(21, 20)).toBe(-EINVAL); // the user may not be used
    expect(host.recount()).toEqual([]);
    expect(guest.mmuext([[MMUEXT_UNPIN_TABLE, mfn(20)]])[0]).toBe(0);
    expect(set(PFN.l4, 21)).toBe(0);
    expect(host.recount()).toEqual([]);
  });

  test('update_va_mapping does not reach a higher table through the self map', () => {
    guest.mmuUpdate([[guest.slot(PFN.l4, 300), guest.entry(PFN.l4, RO)]]);
    const inL4 = (slots: readonly number[]): bigint =>
      slots.reduce((va, slot) => (va << 9n) | BigInt(slot), 0n) << 12n;
    // Slots 300, 300, 300, 0: the "L1 entry" is slot 0 of the L4 table itself.
    const linear = inL4([300, 300, 300, 0]) | 0xffff_0000_0000_0000n;
    expect(guest.updateVa(linear, guest.entry(9, RW))).toBe(-EINVAL);
  });
});

describe('pinning', () => {
  test('validates at every level, counts, and is undone', () => {
    for (const [cmd, type] of [
      [MMUEXT_PIN_L1_TABLE, FrameType.l1],
      [MMUEXT_PIN_L2_TABLE, FrameType.l2],
      [MMUEXT_PIN_L3_TABLE, FrameType.l3],
      [MMUEXT_PIN_L4_TABLE, FrameType.l4],
    ] as const) {
      guest.updateVa(guest.va(20), guest.entry(20, RO));
      expect(guest.mmuext([[cmd, mfn(20)]])).toEqual([0, 1]);
      expect(host.memory.frames.isUsedAs(guest.mfns[20], type)).toBe(true);
      expect(guest.mmuext([[cmd, mfn(20)]])).toEqual([-EINVAL, 0]);
      expect(host.recount()).toEqual([]);
      expect(guest.mmuext([[MMUEXT_UNPIN_TABLE, mfn(20)]])).toEqual([0, 1]);
      expect(guest.mmuext([[MMUEXT_UNPIN_TABLE, mfn(20)]])).toEqual([-EINVAL, 0]);
      expect(host.recount()).toEqual([]);
    }
  });

  test('is refused while a writable mapping exists, for others’ frames and for wrong contents', () => {
    const other = host.guest(2);
    expect(guest.mmuext([[MMUEXT_PIN_L1_TABLE, mfn(20)]])[0]).toBe(-EINVAL);
    expect(guest.mmuext([[MMUEXT_PIN_L1_TABLE, BigInt(other.mfns[20])]])[0]).toBe(-EINVAL);
    expect(guest.mmuext([[MMUEXT_PIN_L1_TABLE, 1n << 40n]])[0]).toBe(-EINVAL);
    guest.updateVa(guest.va(20), guest.entry(20, RO));
    guest.poke(20, 10, guest.entry(9, RO));
    guest.poke(20, 500, (BigInt(other.mfns[9]) << 12n) | RO);
    expect(guest.mmuext([[MMUEXT_PIN_L1_TABLE, mfn(20)]])[0]).toBe(-EBUSY);
    expect(guest.mmuext([[MMUEXT_PIN_L4_TABLE, mfn(20)]])[0]).toBe(-EINVAL);
    expect(host.recount()).toEqual([]);
    expect(host.memory.frames.type(guest.mfns[20])).toBe(FrameType.none);
  });

  test('a table stays validated as long as a higher table or a vCPU uses it', () => {
    expect(guest.mmuext([[MMUEXT_UNPIN_TABLE, mfn(PFN.l4)]])[0]).toBe(0);
    expect(host.memory.frames.isUsedAs(guest.mfns[PFN.l4], FrameType.l4)).toBe(true);
    expect(host.recount()).toEqual([]);
  });
});

describe('root tables', () => {
  test('are taken over with their references, the user’s apart from the kernel’s', () => {
    guest.updateVa(guest.va(20), guest.entry(20, RO));
    expect(guest.mmuext([[MMUEXT_NEW_USER_BASEPTR, mfn(20)]])).toEqual([0, 1]);
    expect(guest.vcpu.guestTableUser).toBe(guest.mfns[20]);
    expect(host.memory.frames.isUsedAs(guest.mfns[20], FrameType.l4)).toBe(true);
    expect(host.recount()).toEqual([]);
    expect(guest.mmuext([[MMUEXT_NEW_USER_BASEPTR, 0n]])).toEqual([0, 1]);
    expect(host.memory.frames.typeReferences(guest.mfns[20])).toBe(0);
    expect(guest.mmuext([[MMUEXT_NEW_BASEPTR, 0n]])[0]).toBe(-EINVAL);
    expect(guest.mmuext([[MMUEXT_NEW_BASEPTR, mfn(9)]])[0]).toBe(-EINVAL);
    expect(guest.vcpu.guestTable).toBe(guest.mfns[PFN.l4]);
    expect(host.recount()).toEqual([]);
  });
});

describe('mmu_update', () => {
  test('stops at the first bad request and tells how many it did', () => {
    const ok = [guest.slot(PFN.l1, 100), guest.entry(9, RO)] as const;
    const bad = [guest.slot(PFN.l1, 101), guest.entry(PFN.l4, RW)] as const;
    expect(guest.mmuUpdate([ok, ok, bad, ok])).toEqual([-EBUSY, 2]);
  });

  test('keeps accessed and dirty when asked', () => {
    const at = guest.slot(PFN.l1, 100);
    guest.mmuUpdate([[at, guest.entry(9, RO | 0x60n)]]);
    guest.mmuUpdate([[at | BigInt(MMU_PT_UPDATE_PRESERVE_AD), guest.entry(9, RO)]]);
    expect(guest.peek(PFN.l1, 100) & 0x60n).toBe(0x60n);
    guest.mmuUpdate([[at, guest.entry(9, RO)]]);
    expect(guest.peek(PFN.l1, 100) & 0x60n).toBe(0n);
  });

  test('writes plain memory, but not descriptor pages, and nothing of other domains', () => {
    const other = host.guest(2);
    expect(guest.mmuUpdate([[guest.slot(9, 3), 0x1234n]])).toEqual([0, 1]);
    expect(guest.peek(9, 3)).toBe(0x1234n);
    expect(guest.mmuUpdate([[BigInt(other.mfns[9]) << 12n, 1n]])).toEqual([-EINVAL, 0]);
    expect(guest.mmuUpdate([[1n << 50n, 1n]])).toEqual([-EINVAL, 0]);
  });

  test('sets the M2P of own frames only', () => {
    const other = host.guest(2);
    const command = BigInt(MMU_MACHPHYS_UPDATE);
    expect(guest.mmuUpdate([[(mfn(9) << 12n) | command, 0x777n]])).toEqual([0, 1]);
    expect(host.memory.m2p.get(guest.mfns[9])).toBe(0x777n);
    expect(guest.mmuUpdate([[(BigInt(other.mfns[9]) << 12n) | command, 1n]])).toEqual([-EINVAL, 0]);
  });

  test('knows which foreign domains are a matter of permission', () => {
    host.guest(2);
    const request = [[guest.slot(PFN.l1, 100), guest.entry(9, RO)]] as const;
    expect(guest.mmuUpdate(request, 2)).toEqual([-EPERM, 0]);
    expect(guest.mmuUpdate(request, 0)).toEqual([-EPERM, 0]);
    expect(guest.mmuUpdate(request, 77)).toEqual([-ESRCH, 0]);
    expect(guest.mmuUpdate(request, 1)).toEqual([-ESRCH, 0]);
    expect(guest.mmuUpdate(request, DOMID_IO)).toEqual([-EBUSY, 0]);
    expect(guest.mmuUpdate(request, 0x7ff0 | (3 << 16))).toEqual([-EPERM, 0]);
    expect(guest.mmuUpdate(request, 0x7ff0 | (78 << 16))[0]).toBe(-ESRCH);
    expect(guest.mmuUpdate(request, 0x7ff0 | (2 << 16))).toEqual([0, 1]);
  });
});
