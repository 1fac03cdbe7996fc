import { FrameType } from '@xenolith/mmu/frames';
import {
  EACCES,
  EFAULT,
  EINVAL,
  ENOSYS,
  EOPNOTSUPP,
  EPERM,
  ESRCH,
  GNTMAP_contains_pte,
  GNTMAP_host_map,
  GNTMAP_readonly,
  GNTST_general_error,
  GNTST_okay,
  MMUEXT_CLEAR_PAGE,
  MMUEXT_COPY_PAGE,
  MMUEXT_FLUSH_CACHE,
  MMUEXT_INVLPG_LOCAL,
  MMUEXT_MARK_SUPER,
  MMUEXT_NEW_USER_BASEPTR,
  MMUEXT_PIN_L1_TABLE,
  MMUEXT_PIN_L4_TABLE,
  MMUEXT_SET_LDT,
  MMUEXT_TLB_FLUSH_LOCAL,
  MMUEXT_TLB_FLUSH_MULTI,
  MMUEXT_UNPIN_TABLE,
  UVMF_ALL,
  UVMF_INVLPG,
  UVMF_TLB_FLUSH,
  VMASST_TYPE_m2p_strict,
} from '@xenolith/xen-abi';
import { beforeEach, describe, expect, test } from 'vitest';
import { checkDescriptor, destroyGdt, setGdt, updateDescriptor } from './descriptors.js';
import { createGrantMapping, replaceGrantMapping } from './grant-mapping.js';
import { ldtFrame } from './ldt.js';
import { emulatePtWrite, ptWriteFrame } from './pt-write.js';
import { BASE, PFN, RO, RW, type SmallGuest, TestHost } from './testing/small-guest.js';
import { updateVaMappingOtherDomain } from './update-va-mapping.js';

let host: TestHost;
let guest: SmallGuest;
beforeEach(() => {
  host = new TestHost();
  guest = host.guest();
});

const mfn = (pfn: number): bigint => BigInt(guest.mfns[pfn]);

describe('update_va_mapping', () => {
  test('changes the entry of an address and flushes what the flags say', () => {
    const { tlb } = host;
    expect(guest.updateVa(guest.va(100), guest.entry(9, RW), BigInt(UVMF_INVLPG | UVMF_ALL))).toBe(0);
    expect(guest.peek(PFN.l1, 100) & ~0x100n).toBe(guest.entry(9, RW));
    expect(tlb.pages).toEqual([guest.va(100)]);
    expect(tlb.full).toBe(0);
    expect(guest.updateVa(guest.va(100), 0n, BigInt(UVMF_TLB_FLUSH))).toBe(0);
    expect(tlb.full).toBe(1);
    expect(host.recount()).toEqual([]);
  });

  test('answers EINVAL where there is no L1 table, and EFAULT for a wild vCPU bitmap', () => {
    expect(guest.updateVa(0n, guest.entry(9, RW))).toBe(-EINVAL);
    expect(guest.updateVa(0xffff_8000_0000_0000n, guest.entry(9, RW))).toBe(-EINVAL);
    expect(guest.updateVa(0x8000_0000_0000n, guest.entry(9, RW))).toBe(-EINVAL);
    expect(guest.updateVa(guest.va(100), guest.entry(9, RO), 0x10_0000n | BigInt(UVMF_INVLPG))).toBe(-EFAULT);
  });

  test('for other domains is not a guest’s to call', () => {
    host.guest(2);
    const call = (domid: number): number =>
      updateVaMappingOtherDomain(
        host.memory,
        guest.vcpu,
        guest,
        guest.va(100),
        guest.entry(9, RO),
        0n,
        domid,
      );
    expect([2, 0, 1, 55, 0x7ff1, 0x7ff0].map(call)).toEqual([-EPERM, -EPERM, -ESRCH, -ESRCH, -EPERM, 0]);
  });
});

describe('writable page tables', () => {
  const write = (slot: number, bytes: number[], at = 0): boolean =>
    emulatePtWrite(host.memory, guest.vcpu, guest.va(PFN.l1) + BigInt(slot * 8 + at), Uint8Array.from(bytes));
  const bytesOf = (value: bigint): number[] => [...new Uint8Array(BigUint64Array.of(value).buffer)];

  test('a write to a table that is mapped read-only is a checked update', () => {
    expect(ptWriteFrame(host.memory, guest.vcpu, guest.va(PFN.l1))).toBe(guest.mfns[PFN.l1]);
    expect(write(100, bytesOf(guest.entry(9, RW)))).toBe(true);
    expect(guest.peek(PFN.l1, 100)).toBe(guest.entry(9, RW) | 0x100n);
    expect(write(100, bytesOf(guest.entry(PFN.l4, RW)))).toBe(false);
    expect(guest.peek(PFN.l1, 100)).toBe(guest.entry(9, RW) | 0x100n);
    expect(host.recount()).toEqual([]);
  });

  test('a part of an entry may be written, aligned', () => {
    write(100, bytesOf(guest.entry(9, RW)));
    expect(write(100, [0], 0)).toBe(true);
    expect(guest.peek(PFN.l1, 100) & 1n).toBe(0n);
    expect(write(100, [1, 2, 3, 4], 2)).toBe(false);
    expect(write(100, [1, 2, 3], 0)).toBe(false);
    expect(host.recount()).toEqual([]);
  });

  test('only L1 tables, and only behind a read-only mapping', () => {
    expect(ptWriteFrame(host.memory, guest.vcpu, guest.va(PFN.l2))).toBe(0);
    expect(ptWriteFrame(host.memory, guest.vcpu, guest.va(9))).toBe(0);
    expect(ptWriteFrame(host.memory, guest.vcpu, guest.va(200))).toBe(0);
    guest.updateVa(guest.va(9), guest.entry(9, RO));
    expect(ptWriteFrame(host.memory, guest.vcpu, guest.va(9))).toBe(0);
  });
});

describe('mmuext_op', () => {
  test('flushes, clears, copies, and knows what a guest may not', () => {
    guest.poke(9, 0, 0x55n);
    expect(guest.mmuext([[MMUEXT_COPY_PAGE, mfn(10), mfn(9)]])).toEqual([0, 1]);
    expect(guest.peek(10, 0)).toBe(0x55n);
    expect(guest.mmuext([[MMUEXT_CLEAR_PAGE, mfn(10)]])).toEqual([0, 1]);
    expect(guest.peek(10, 0)).toBe(0n);
    expect(guest.mmuext([[MMUEXT_CLEAR_PAGE, mfn(PFN.l1)]])).toEqual([-EINVAL, 0]);
    expect(guest.mmuext([[MMUEXT_COPY_PAGE, mfn(PFN.l1), mfn(9)]])).toEqual([-EINVAL, 0]);
    expect(guest.mmuext([[MMUEXT_FLUSH_CACHE, 0n]])).toEqual([-EACCES, 0]);
    expect(guest.mmuext([[MMUEXT_MARK_SUPER, 0n]])).toEqual([-EOPNOTSUPP, 0]);
    expect(guest.mmuext([[999, 0n]])).toEqual([-ENOSYS, 0]);
    expect(
      guest.mmuext([
        [MMUEXT_TLB_FLUSH_LOCAL, 0n],
        [MMUEXT_INVLPG_LOCAL, 0x5000n],
      ]),
    ).toEqual([0, 2]);
    expect(guest.mmuext([[MMUEXT_TLB_FLUSH_MULTI, 0n, 0x10n]])).toEqual([-EINVAL, 0]);
    expect(guest.mmuext([[MMUEXT_TLB_FLUSH_MULTI, 0n, BASE]])).toEqual([0, 1]);
    expect(host.tlb.full).toBe(2);
    expect(host.tlb.pages).toEqual([0x5000n]);
    expect(guest.mmuext([[MMUEXT_TLB_FLUSH_LOCAL, 0n]], 5)[0]).toBe(-ESRCH);
    expect(guest.mmuext([[MMUEXT_TLB_FLUSH_LOCAL, 0n]], 0)[0]).toBe(-EPERM);
    expect(host.recount()).toEqual([]);
  });

  test('write translations are forgotten when a page becomes a table', () => {
    guest.updateVa(guest.va(20), guest.entry(20, RO));
    guest.mmuext([[MMUEXT_PIN_L1_TABLE, mfn(20)]]);
    expect(host.tlb.writesForgotten).toContain(guest.mfns[20]);
    host.tlb.writesForgotten.length = 0;
    guest.updateVa(guest.va(21), guest.entry(21, RO));
    guest.mmuext([
      [MMUEXT_TLB_FLUSH_LOCAL, 0n],
      [MMUEXT_PIN_L1_TABLE, mfn(21)],
    ]);
    expect(host.tlb.writesForgotten).toEqual([]);
  });

  test('changing a present higher entry forgets everything, adding one does not', () => {
    guest.mmuUpdate([[guest.slot(PFN.l2, 9), guest.entry(PFN.l1, RW)]]);
    expect(host.tlb.full).toBe(0);
    guest.mmuUpdate([[guest.slot(PFN.l2, 9), 0n]]);
    expect(host.tlb.full).toBe(1);
  });

  test('with m2p_strict the M2P is not shown to user mode', () => {
    guest.domain.assists.add(VMASST_TYPE_m2p_strict);
    guest.updateVa(guest.va(20), guest.entry(20, RO));
    guest.mmuext([[MMUEXT_PIN_L4_TABLE, mfn(20)]]);
    expect(guest.peek(20, 256)).not.toBe(0n);
    guest.mmuext([[MMUEXT_NEW_USER_BASEPTR, mfn(20)]]);
    expect(guest.peek(20, 256)).toBe(0n);
  });
});

describe('descriptors', () => {
  const code = { low: 0x0000_ffff, high: 0x00af_9a00 };

  test('are made harmless or refused', () => {
    expect(checkDescriptor(code.low, code.high)?.high).toBe(0x00af_fa00);
    expect(checkDescriptor(0, 0x0000_8200)).toBeUndefined(); // LDT
    expect(checkDescriptor(0, 0x0000_8900)).toBeUndefined(); // TSS
    expect(checkDescriptor(0, 0x0000_8e00)).toBeUndefined(); // interrupt gate
    expect(checkDescriptor(0x1234, 0x0000_0900)).toEqual({ low: 0x1234, high: 0x900 }); // not present
    // A call gate gets DPL 0 and keeps its DPL 3 in the selector.
    expect(checkDescriptor(0x0010_0000, 0x0000_ec00)).toEqual({ low: 0x0013_0000, high: 0x8c00 });
    expect(checkDescriptor(0xe010_0000, 0x0000_ec00)).toBeUndefined(); // Xen's selector
    expect(checkDescriptor(0x0010_0000, 0x0000_ec01)).toBeUndefined(); // reserved bits
  });

  test('set_gdt takes frames as descriptor pages', () => {
    const setList = (...list: bigint[]): void => {
      list.forEach((value, i) => {
        guest.poke(12, i, value);
      });
    };
    setList(mfn(20));
    const set = (entries: number, list = guest.va(12)): number =>
      setGdt(host.memory, guest.vcpu, guest, list, entries);
    expect(set(16)).toBe(-EINVAL); // still mapped writable
    guest.updateVa(guest.va(20), guest.entry(20, RO));
    guest.poke(20, 1, 0x00af_9a00_0000_ffffn);
    expect(set(16)).toBe(0);
    expect(guest.peek(20, 1)).toBe(0x00af_fa00_0000_ffffn);
    expect(guest.vcpu.gdtFrames).toEqual([guest.mfns[20]]);
    expect(guest.updateVa(guest.va(20), guest.entry(20, RW))).toBeLessThan(0);
    expect(set(16, 0x10n)).toBe(-EFAULT);
    expect(set(7169)).toBe(-EINVAL);
    setList(mfn(PFN.l1));
    expect(set(16)).toBe(-EINVAL);
    expect(guest.vcpu.gdtEntries).toBe(16);
    expect(host.recount()).toEqual([]);
    destroyGdt(host.memory, guest.vcpu);
    expect(guest.updateVa(guest.va(20), guest.entry(20, RW))).toBe(0);
    expect(host.recount()).toEqual([]);
  });

  test('update_descriptor writes descriptor pages and plain memory, never tables', () => {
    const update = (address: bigint, value: bigint): number =>
      updateDescriptor(host.memory, guest.vcpu, address, value);
    expect(update(guest.slot(9, 2), 0x00af_9a00_0000_ffffn)).toBe(0);
    expect(guest.peek(9, 2)).toBe(0x00af_fa00_0000_ffffn);
    expect(update(guest.slot(9, 2) + 4n, 0n)).toBe(-EINVAL);
    expect(update(guest.slot(9, 2), 0x0000_8900_0000_0000n)).toBe(-EINVAL);
    expect(update(guest.slot(PFN.l1, 2), 0n)).toBe(-EINVAL);
    expect(update(1n << 60n, 0n)).toBe(-EINVAL);
    expect(host.recount()).toEqual([]);
  });

  test('LDT pages are taken on first use and given back', () => {
    expect(guest.mmuext([[MMUEXT_SET_LDT, guest.va(20), 16n]])).toEqual([0, 1]);
    expect(ldtFrame(host.memory, guest.vcpu, 8)).toBe(0); // mapped writable
    guest.updateVa(guest.va(20), guest.entry(20, RO));
    expect(ldtFrame(host.memory, guest.vcpu, 8)).toBe(guest.mfns[20]);
    expect(ldtFrame(host.memory, guest.vcpu, 128)).toBe(0);
    expect(host.memory.frames.isUsedAs(guest.mfns[20], FrameType.segDesc)).toBe(true);
    expect(host.recount()).toEqual([]);
    expect(guest.mmuext([[MMUEXT_SET_LDT, 0n, 0n]])).toEqual([0, 1]);
    expect(guest.updateVa(guest.va(20), guest.entry(20, RW))).toBe(0);
    expect(guest.mmuext([[MMUEXT_SET_LDT, guest.va(20) + 8n, 16n]])).toEqual([-EINVAL, 0]);
    expect(guest.mmuext([[MMUEXT_SET_LDT, guest.va(20), 8193n]])).toEqual([-EINVAL, 0]);
    expect(host.recount()).toEqual([]);
  });
});

describe('grant mappings', () => {
  test('are entries that hold the granted frame until they are replaced', () => {
    const other = host.guest(2);
    const { frames } = host.memory;
    const granted = other.mfns[9];
    const flags = GNTMAP_host_map;
    const take = (): number => frames.getPageAndType(granted, 2, FrameType.writable);
    expect(take()).toBe(0);
    expect(createGrantMapping(host.memory, guest.vcpu, guest.va(100), granted, flags)).toBe(GNTST_okay);
    expect(host.recount()).toEqual([]);
    expect(replaceGrantMapping(host.memory, guest.vcpu, guest.va(101), granted, 0n, flags)).toBe(
      GNTST_general_error,
    );
    expect(
      replaceGrantMapping(host.memory, guest.vcpu, guest.va(100), granted, 0n, flags | GNTMAP_readonly),
    ).toBe(GNTST_general_error);
    expect(replaceGrantMapping(host.memory, guest.vcpu, guest.va(100), granted, 0n, flags)).toBe(GNTST_okay);
    frames.putPageAndType(granted);
    expect(host.recount()).toEqual([]);
  });

  test('by machine address, only in L1 tables of the mapper', () => {
    const other = host.guest(2);
    const granted = other.mfns[9];
    const flags = GNTMAP_host_map | GNTMAP_contains_pte | GNTMAP_readonly;
    const create = (address: bigint): number =>
      createGrantMapping(host.memory, guest.vcpu, address, granted, flags);
    expect(create(guest.slot(PFN.l2, 100))).toBe(GNTST_general_error);
    expect(create(other.slot(PFN.l1, 100))).toBe(GNTST_general_error);
    expect(create(guest.slot(PFN.l1, 100) + 4n)).toBe(GNTST_general_error);
    expect(create(1n << 62n)).toBe(GNTST_general_error);
    expect(host.memory.frames.getPage(granted, 2)).toBe(true);
    expect(create(guest.slot(PFN.l1, 100))).toBe(GNTST_okay);
    expect(host.recount()).toEqual([]);
    // The guest's own update drops the mapping's reference.
    expect(guest.mmuUpdate([[guest.slot(PFN.l1, 100), 0n]])).toEqual([0, 1]);
    expect(host.recount()).toEqual([]);
  });
});

describe('the end of a domain', () => {
  test('frees every frame', () => {
    const free = host.memory.frames.freeFrames;
    const other = host.guest(2);
    other.updateVa(other.va(20), other.entry(20, RO));
    other.mmuext([[MMUEXT_PIN_L1_TABLE, BigInt(other.mfns[20])]]);
    other.mmuUpdate([[other.slot(PFN.l4, 300), other.entry(PFN.l4, RO)]]);
    other.domain.dying = true;
    expect(host.release(other.domain).left).toBe(0);
    expect(other.domain.totPages).toBe(0);
    expect(host.memory.frames.freeFrames).toBe(free);
    expect(host.recount()).toEqual([]);
  });

  test('leaves what others have mapped until they let go', () => {
    const other = host.guest(2);
    const granted = other.mfns[9];
    host.memory.frames.getPage(granted, 2);
    createGrantMapping(host.memory, guest.vcpu, guest.va(100), granted, GNTMAP_host_map | GNTMAP_readonly);
    other.domain.dying = true;
    expect(host.release(other.domain).left).toBe(1);
    expect(host.memory.frames.owner(granted)).toBe(2);
    expect(guest.mmuext([[MMUEXT_UNPIN_TABLE, mfn(PFN.l4)]])[0]).toBe(0);
    guest.updateVa(guest.va(100), 0n);
    expect(other.domain.totPages).toBe(0);
    expect(host.recount()).toEqual([]);
  });
});
