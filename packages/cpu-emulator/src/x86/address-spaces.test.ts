import { PAGE_SIZE } from '@xenolith/mmu';
import { beforeEach, expect, it } from 'vitest';
import { Exit } from '../processor.js';
import { type FlatMachine, flatMachine, RWU } from '../testing/flat-machine.js';

const DATA = 0x4000;
let m: FlatMachine;
/** A second address space that is the first one, but with page 4 on another frame and with page 1's code elsewhere. */
let other: number;

beforeEach(async () => {
  m = await flatMachine(16, 8);
  const { machine, tables } = m;
  const frame = (tables.l1 >>> 12) + 1;
  const copies = [0, 1, 2, 3].map((i) => (frame + i) * PAGE_SIZE);
  [tables.l4, tables.l3, tables.l2, tables.l1].forEach((from, i) => {
    machine.bytes.copyWithin(copies[i]!, from, from + PAGE_SIZE);
    if (i < 3) machine.view.setBigUint64(copies[i]!, BigInt(copies[i + 1]!) | RWU, true);
  });
  machine.view.setBigUint64(copies[3]! + 8 * 4, BigInt(m.base + 0x9000) | RWU, true);
  machine.view.setBigUint64(copies[3]! + 8 * 1, BigInt(m.base + 0xa000) | RWU, true);
  other = copies[0]! / PAGE_SIZE;
  m.write(DATA, [1]);
  m.write(0x9000, [2]);
  // mov eax, [0x4000]; hlt, with ecx = 7 in front of it in the other space.
  m.write(0xa000, [0xb9, 7, 0, 0, 0, 0x8b, 0x04, 0x25, 0, 0x40, 0, 0, 0xf4]);
});

const CODE = '8b 04 25 00 40 00 00 f4';
function seen(): [bigint, bigint] {
  m.start(CODE);
  expect(m.cpu.run(10)).toBe(Exit.privileged);
  return [m.cpu.regs.gpr[0]!, m.cpu.regs.gpr[1]!];
}

it('keeps data and code of two address spaces apart, without forgetting either', () => {
  const first = m.tables.l4 / PAGE_SIZE;
  const a = m.cpu.loadAddressSpace(first);
  expect(seen()).toEqual([1n, 0n]);
  const b = m.cpu.loadAddressSpace(other);
  expect(b).not.toBe(a);
  expect(seen()).toEqual([2n, 7n]);
  for (let i = 0; i < 3; i++) {
    m.cpu.switchAddressSpace(first, a);
    expect(seen()).toEqual([1n, 0n]);
    m.cpu.switchAddressSpace(other, b);
    expect(seen()).toEqual([2n, 7n]);
  }
  // Nothing is forgotten: an entry changed behind the processor's back is not seen under the old id.
  m.cpu.switchAddressSpace(first, a);
  expect(m.cpu.translate(0x5000n, 0)).toBe(m.base + 0x5000);
  m.start('8b 04 25 00 50 00 00 f4');
  m.write(0x5000, [5]);
  m.write(0x6000, [6]);
  m.machine.view.setBigUint64(m.tables.l1 + 8 * 5, BigInt(m.base + 0x6000) | RWU, true);
  m.cpu.switchAddressSpace(other, b);
  m.cpu.switchAddressSpace(first, a);
  m.cpu.run(1);
  expect(m.cpu.regs.gpr[0]).toBe(5n);
  m.cpu.switchAddressSpace(first, m.cpu.newAddressSpaceId());
  m.cpu.regs.rip = 0x1000n;
  m.cpu.run(1);
  expect(m.cpu.regs.gpr[0]).toBe(6n);
});

it('flushPage forgets one page in data and code, flushAll all', () => {
  seen();
  const remap = (page: number, to: number): void =>
    m.machine.view.setBigUint64(m.tables.l1 + 8 * page, BigInt(m.base + to) | RWU, true);
  remap(4, 0x9000);
  expect(seen()).toEqual([1n, 0n]);
  m.cpu.flushPage(0x3000n);
  expect(seen()).toEqual([1n, 0n]);
  m.cpu.flushPage(BigInt(DATA));
  expect(seen()).toEqual([2n, 0n]);
  remap(1, 0xa000);
  m.cpu.flushPage(0x1000n);
  expect(seen()).toEqual([2n, 7n]);
  remap(4, DATA);
  remap(1, 0x1000);
  m.cpu.flushAll();
  expect(seen()).toEqual([1n, 0n]);
});

it('forgetWrites forgets where one frame could be written, in every address space, and nothing else', () => {
  const first = m.tables.l4 / PAGE_SIZE;
  const a = m.cpu.loadAddressSpace(first);
  const frame = m.base / PAGE_SIZE;
  const WRITE = 1;
  const write = (page: number): number => m.cpu.translate(BigInt(page * PAGE_SIZE), WRITE) - m.base;
  const store = (): number => {
    // mov [0x4000], al; mov [0x5000], al; hlt
    m.start('88 04 25 00 40 00 00 88 04 25 00 50 00 00 f4');
    m.cpu.run(3);
    return m.cpu.run(1);
  };
  expect(store()).toBe(Exit.privileged);
  const readOnly = (page: number): void =>
    m.machine.view.setBigUint64(
      m.tables.l1 + 8 * page,
      BigInt(m.base + page * PAGE_SIZE) | (RWU & ~2n),
      true,
    );
  readOnly(4);
  readOnly(5);
  // Both are still known as writable; then one is not, also when another address space was loaded meanwhile.
  expect(store()).toBe(Exit.privileged);
  const b = m.cpu.loadAddressSpace(other);
  expect(write(6)).toBe(0x6000);
  m.cpu.forgetWrites(frame + 5);
  m.cpu.switchAddressSpace(first, a);
  expect(store()).toBe(Exit.exception);
  expect(m.cpu.cr2).toBe(0x5000n);
  expect(m.cpu.regs.rip).toBe(0x1007n);
  m.cpu.forgetWrites(frame + 4);
  store();
  expect(m.cpu.cr2).toBe(BigInt(DATA));
  m.cpu.switchAddressSpace(other, b);
  expect(write(6)).toBe(0x6000);
});

it('starts again with its ids when they are used up, having forgotten everything', () => {
  const id = m.cpu.loadAddressSpace(m.tables.l4 / PAGE_SIZE);
  expect(seen()).toEqual([1n, 0n]);
  const ids = new Set<number>([id]);
  let next = id;
  while (next >= id) {
    next = m.cpu.newAddressSpaceId();
    if (ids.has(next)) break;
    ids.add(next);
  }
  // TLB tags have 12 bits for it, of which all ones is no id.
  expect(Math.max(...ids)).toBe(4094);
  expect(Math.min(next, ...ids)).toBeGreaterThan(0);
  while (m.cpu.newAddressSpaceId() !== id);
  m.cpu.switchAddressSpace(other, id);
  expect(seen()).toEqual([2n, 7n]);
});

it('translates as the guest would', () => {
  expect(m.cpu.translate(BigInt(DATA + 5), 0)).toBe(m.base + DATA + 5);
  expect(m.cpu.translate(0x40_0000n, 1)).toBe(-1);
  expect([m.cpu.cr2, m.cpu.errorCode]).toEqual([0x40_0000n, 6]);
  expect(m.cpu.translate(0xffff_8000_0000_0000n, 0)).toBe(-1);
  expect(m.cpu.cr2).toBe(0xffff_8000_0000_0000n);
});
