import { Exit } from '@xenolith/cpu-emulator';
import { MachineMemory } from '@xenolith/mmu';
import { FrameType } from '@xenolith/mmu/frames';
import * as abi from '@xenolith/xen-abi';
import { beforeEach, describe, expect, it } from 'vitest';
import { GPR } from '../arch/x86.js';
import { destroyDomain } from '../domain/destroy.js';
import { WORK_LIMIT } from '../memory/work.js';
import { type TestHost, testHost } from '../testing/test-host.js';

/** The largest step that is not divided: one table, and what stopping in it costs. */
const LARGEST_STEP = 5_000;
const PAGES = 5_000;
const RW = 7n;
const RO = 5n;
const SELF = abi.DOMID_SELF;
const ARGUMENTS = [GPR.rdi, GPR.rsi, GPR.rdx, GPR.r10];

let host: TestHost;
/** Work of each piece since the list was emptied. */
let pieces: number[];
/** The next page of the domain that nothing uses. */
let next: number;

beforeEach(() => {
  host = testHost({ machine: new MachineMemory(10_000), checkInterval: 0 }, { memoryPages: PAGES, vcpus: 2 });
  next = 64;
  pieces = [];
  const { work } = host.hv.memory;
  const limited = work.limited.bind(work);
  work.limited = (operation) => {
    const before = work.done;
    try {
      return limited(operation);
    } finally {
      pieces.push(work.done - before);
    }
  };
});

const mfn = (pfn: number): bigint => BigInt(host.domain.p2m[pfn]!);
const entry = (pfn: number, flags = RW): bigint => (mfn(pfn) << 12n) | flags;
const poke = (pfn: number, slot: number, value: bigint): void =>
  host.machine.view.setBigUint64(Number(mfn(pfn)) * 4096 + slot * 8, value, true);

/** A page that becomes a table: its first entries lead to `below`. */
function table(below: readonly number[] = []): number {
  const pfn = next++;
  below.forEach((to, slot) => {
    poke(pfn, slot, entry(to));
  });
  return pfn;
}

const times = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, n) => make(n));

/** A table of `level` 2 … 4 over `count` L1 tables: 512 below each L2. */
function tree(level: number, count = 2_000): number {
  const l2s = times(Math.ceil(count / 512), (n) =>
    table(times(Math.min(512, count - n * 512), () => table())),
  );
  if (level === 2) return l2s[0]!;
  const l3 = table(l2s);
  return level === 3 ? l3 : table([l3]);
}

/** The kernel's own mapping, so that it can run on the tables. */
function withKernel(root: number): number {
  poke(root, 511, entry(root, RO));
  poke(root, 510, host.machine.view.getBigUint64(Number(mfn(16)) * 4096, true));
  return root;
}

/** Makes a hypercall as the guest's kernel does: SYSCALL again as long as RIP is still at it. The result, and how often. */
function make(number: number, ...args: (number | bigint)[]): [result: number, times: number] {
  host.enter();
  const { cpu, hv } = host;
  const { rip, gpr } = { rip: cpu.regs.rip, gpr: cpu.regs.gpr };
  gpr[GPR.rax] = BigInt(number);
  ARGUMENTS.forEach((register, n) => {
    gpr[register] = BigInt.asUintN(64, BigInt(args[n] ?? 0));
  });
  for (let count = 1; ; count++) {
    cpu.regs.rip = rip;
    cpu.length = 2;
    hv.handle(Exit.syscall);
    if (cpu.regs.rip !== rip) {
      cpu.regs.rip = rip;
      return [Number(BigInt.asIntN(64, gpr[GPR.rax]!)), count];
    }
    expect(count).toBeLessThan(100);
  }
}

function mmuext(...ops: [cmd: number, arg1: bigint][]): [number, number] {
  ops.forEach(([cmd, arg1], n) => {
    host.poke(host.at(1, n * abi.MmuextOp.size), BigInt(cmd), arg1, 0n);
  });
  return make(abi.__HYPERVISOR_mmuext_op, host.at(1), ops.length, 0, SELF);
}

function update(...requests: [pfn: number, slot: number, value: bigint][]): [number, number] {
  requests.forEach(([pfn, slot, value], n) => {
    host.poke(host.at(1, n * abi.MmuUpdate.size), (mfn(pfn) << 12n) + BigInt(slot * 8), value);
  });
  return make(abi.__HYPERVISOR_mmu_update, host.at(1), requests.length, 0, SELF);
}

const PIN = [
  0,
  abi.MMUEXT_PIN_L1_TABLE,
  abi.MMUEXT_PIN_L2_TABLE,
  abi.MMUEXT_PIN_L3_TABLE,
  abi.MMUEXT_PIN_L4_TABLE,
];

/** What is done by `operation`, in pieces; each within the limit. */
function inPieces(operation: () => [number, number]): { result: number; times: number; pieces: number } {
  pieces = [];
  const [result, count] = operation();
  for (const piece of pieces) expect(piece).toBeLessThan(WORK_LIMIT + LARGEST_STEP);
  host.hv.checks?.everything();
  return { result, times: count, pieces: pieces.length };
}

const isUsedAs = (pfn: number, type: FrameType): boolean =>
  host.hv.memory.frames.isUsedAs(host.domain.p2m[pfn]!, type);

describe('a tree of page tables is validated and given up in pieces', () => {
  it('by pins', () => {
    const root = tree(4);
    const pinned = inPieces(() => mmuext([PIN[4]!, mfn(root)]));
    expect(pinned).toMatchObject({ result: 0, times: 4 });
    expect(isUsedAs(root, FrameType.l4)).toBe(true);
    const unpinned = inPieces(() => mmuext([abi.MMUEXT_UNPIN_TABLE, mfn(root)]));
    // The call is over at once, but the guest does not go on before the tables are given up.
    expect(unpinned).toMatchObject({ result: 0, times: 1 });
    expect(unpinned.pieces).toBeGreaterThan(3);
    expect(host.hv.memory.frames.typeReferences(host.domain.p2m[next - 3]!)).toBe(0);
  });

  it('by the next operation of the same list, which finds the tables free for another use', () => {
    const root = tree(4);
    const leaf = root - 4;
    expect(isUsedAs(leaf, FrameType.l1)).toBe(false);
    mmuext([PIN[4]!, mfn(root)]);
    expect(isUsedAs(leaf, FrameType.l1)).toBe(true);
    const both = inPieces(() =>
      mmuext(
        [abi.MMUEXT_UNPIN_TABLE, mfn(root)],
        [abi.MMUEXT_CLEAR_PAGE, mfn(leaf)],
        [PIN[1]!, mfn(root - 2)],
      ),
    );
    expect(both).toMatchObject({ result: 0, times: 2 });
  });

  it('by root tables of the kernel and of user mode', () => {
    const root = withKernel(tree(4));
    // The kernel's addresses are those of slot 510 then: what it calls with is read there.
    poke(root, 0, host.machine.view.getBigUint64(Number(mfn(16)) * 4096, true));
    poke(root, 510, entry(root - 1));
    const old = withKernel(tree(4, 1_000));
    poke(old, 510, entry(old - 1));
    poke(old, 0, host.machine.view.getBigUint64(Number(mfn(16)) * 4096, true));
    expect(inPieces(() => mmuext([abi.MMUEXT_NEW_BASEPTR, mfn(old)]))).toMatchObject({ result: 0, times: 2 });
    const changed = inPieces(() => mmuext([abi.MMUEXT_NEW_BASEPTR, mfn(root)]));
    expect(changed).toMatchObject({ result: 0, times: 4 });
    expect(changed.pieces).toBeGreaterThan(4);
    expect(host.vcpu.guestTable).toBe(host.domain.p2m[root]);
    expect(isUsedAs(old, FrameType.l4)).toBe(false);
    const user = tree(4, 1_000);
    expect(inPieces(() => mmuext([abi.MMUEXT_NEW_USER_BASEPTR, mfn(user)]))).toMatchObject({
      result: 0,
      times: 2,
    });
    expect(inPieces(() => mmuext([abi.MMUEXT_NEW_USER_BASEPTR, 0n])).pieces).toBe(2);
  });

  it.each([4, 3])('by an entry of an L%i table: the new tree, and the old one', (level) => {
    const top = level === 4 ? table() : table([]);
    mmuext([PIN[level]!, mfn(top)]);
    const [first, second] = [tree(level - 1, 1_500), tree(level - 1, 1_500)];
    const counts = level === 4 ? { times: 3 } : { times: 1 };
    expect(inPieces(() => update([top, 3, entry(first)]))).toMatchObject({ result: 0, ...counts });
    expect(isUsedAs(first, (level - 1) as FrameType)).toBe(true);
    const replaced = inPieces(() => update([top, 3, entry(second)], [top, 4, 0n]));
    expect(replaced.result).toBe(0);
    expect(isUsedAs(first, (level - 1) as FrameType)).toBe(false);
    expect(isUsedAs(second, (level - 1) as FrameType)).toBe(true);
    if (level === 4) expect(replaced.pieces).toBeGreaterThan(4);
  });

  it('by the first state of a vCPU', () => {
    const root = withKernel(tree(4));
    const user = tree(4, 1_500);
    const context = abi.VcpuGuestContext.create();
    context.flags = BigInt(abi.VGCF_in_kernel);
    context.ctrlreg.set(3, mfn(root) << 12n);
    context.ctrlreg.set(1, mfn(user) << 12n);
    const bytes = new Uint8Array(context.$view.buffer, context.$view.byteOffset, abi.VcpuGuestContext.size);
    host.enter();
    expect(host.hv.access.copyTo(host.at(2), bytes)).toBe(true);
    const done = inPieces(() => make(abi.__HYPERVISOR_vcpu_op, abi.VCPUOP_initialise, 1, host.at(2)));
    expect(done).toMatchObject({ result: 0, times: 7 });
    expect(host.domain.vcpus[1]!.guestTableUser).toBe(host.domain.p2m[user]);
    expect(host.domain.vcpus[1]!.keptTables).toEqual([]);
  });

  it('in a multicall', () => {
    const root = tree(4);
    host.poke(host.at(1), BigInt(PIN[4]!), mfn(root), 0n);
    host.poke(host.at(2), BigInt(abi.__HYPERVISOR_mmuext_op), 9n, host.at(1), 1n, 0n, BigInt(SELF), 0n, 0n);
    host.poke(host.at(2, 64), BigInt(abi.__HYPERVISOR_xen_version), 9n, 0n, 0n, 0n, 0n, 0n, 0n);
    expect(inPieces(() => make(abi.__HYPERVISOR_multicall, host.at(2), 2))).toMatchObject({
      result: 0,
      times: 4,
    });
    expect(host.hv.access.readU64(host.at(2, 8))).toBe(0n);
    expect(host.hv.access.readU64(host.at(2, 72))).toBe(0x4_0011n);
  });

  it('and is as if nothing had been when its last entry is wrong', () => {
    const root = tree(4);
    poke(root, 300, (0xf_0000n << 12n) | RW);
    const failed = inPieces(() => mmuext([PIN[4]!, mfn(root)]));
    expect(failed).toMatchObject({ result: -abi.EINVAL, times: 4 });
    for (let pfn = 64; pfn < next; pfn++)
      expect(host.hv.memory.frames.references(host.domain.p2m[pfn]!)).toBe(1);
    expect(host.vcpu.keptTables).toEqual([]);
  });

  it('when tables share what is below them, or have all the linear entries that there may be', () => {
    const l1 = table();
    const l2 = table(times(512, () => l1));
    const l3s = times(240, () => table(times(512, () => l2)));
    const shared = inPieces(() => mmuext([PIN[4]!, mfn(table(l3s))]));
    expect(shared.result).toBe(0);
    expect(shared.times).toBeGreaterThan(3);
    const used = table();
    mmuext([PIN[3]!, mfn(used)]);
    const linear = times(63, () => {
      const l3 = table();
      for (let slot = 0; slot < 512; slot++) poke(l3, slot, entry(used, RO));
      return l3;
    });
    const root = table(linear);
    expect(inPieces(() => mmuext([PIN[4]!, mfn(root)]))).toMatchObject({ result: 0, times: 2 });
    expect(inPieces(() => mmuext([abi.MMUEXT_UNPIN_TABLE, mfn(root)])).result).toBe(0);
    expect(host.hv.memory.tables.linearCount(host.domain.p2m[used]!)).toBe(0);
  });
});

describe('a call that stopped in the middle', () => {
  /** As far as the first piece of a pin goes. */
  function begin(root: number): void {
    host.poke(host.at(1), BigInt(PIN[4]!), mfn(root), 0n);
    host.hypercall(abi.__HYPERVISOR_mmuext_op, host.at(1), 1, 0, SELF);
    expect(host.vcpu.keptTables.length).toBeGreaterThan(50);
    expect(host.vcpu.keptTables.length).toBeLessThan(3 * 512);
    host.hv.checks?.everything();
  }

  it('holds what it has done; it is given back when the guest does something else with its tables', () => {
    const root = tree(4);
    begin(root);
    // Something else does not matter: an event may come between.
    expect(host.hypercall(abi.__HYPERVISOR_xen_version, 0)).toBe(0x4_0011);
    expect(host.vcpu.keptTables.length).toBeGreaterThan(50);
    expect(mmuext([PIN[1]!, mfn(table())])[0]).toBe(0);
    expect(host.vcpu.keptTables).toEqual([]);
    for (let pfn = 64; pfn < root; pfn++)
      expect(host.hv.memory.frames.references(host.domain.p2m[pfn]!)).toBe(1);
  });

  it('sees the entries as they are when it goes on', () => {
    const root = tree(4);
    begin(root);
    // The root table is not one yet: the guest may write to it.
    expect(update([root, 0, 0n])).toEqual([0, 1]);
    expect(inPieces(() => mmuext([PIN[4]!, mfn(root)]))).toMatchObject({ result: 0, times: 1 });
    expect(isUsedAs(root - 1, FrameType.l3)).toBe(false);
    expect(host.hv.memory.frames.references(host.domain.p2m[64]!)).toBe(1);
  });

  it('does not let its tables become writable, nor is it in the way of the domain’s end', () => {
    const root = tree(4);
    begin(root);
    const kept = host.vcpu.keptTables[0]!;
    const writable = (BigInt(kept) << 12n) | 3n;
    const map = () => host.hypercall(abi.__HYPERVISOR_update_va_mapping, host.at(5), writable, 0);
    expect(map()).toBe(-abi.EBUSY);
    destroyDomain(host.hv, host.domain);
    host.hv.finishReleases();
    expect(host.hv.domains.size).toBe(0);
    host.hv.checks?.everything();
  });

  it('does not disturb that of another vCPU', () => {
    const [first, second] = [tree(4, 1_500), tree(4, 1_500)];
    begin(first);
    const { keptTables } = host.vcpu;
    host.domain.vcpus[1]!.keptTables = keptTables;
    host.vcpu.keptTables = [];
    expect(mmuext([PIN[4]!, mfn(second)])).toEqual([0, 3]);
    expect(host.domain.vcpus[1]!.keptTables).toBe(keptTables);
    host.hv.checks?.everything();
  });
});

describe('the end of a domain', () => {
  it('comes in pieces between slices, and leaves nothing', () => {
    const { hv } = host;
    const before = hv.memory.frames.freeFrames;
    mmuext([PIN[4]!, mfn(tree(4, 3_000))]);
    pieces = [];
    expect(destroyDomain(hv, host.domain)).toBe(false);
    expect(hv.isReleasing).toBe(true);
    expect(hv.exists(host.domain.domid)).toBe(true);
    const turns = [];
    while (hv.isReleasing) {
      const { done } = hv.memory.work;
      expect(hv.run(1_000_000).kind).toBe(hv.isReleasing ? 'busy' : 'stopped');
      turns.push(hv.memory.work.done - done);
    }
    expect(turns.length).toBeGreaterThan(2);
    for (const turn of turns) expect(turn).toBeLessThan(1_000_000 / 20 + WORK_LIMIT + LARGEST_STEP);
    for (const piece of pieces) expect(piece).toBeLessThan(WORK_LIMIT + LARGEST_STEP);
    expect(hv.exists(host.domain.domid)).toBe(false);
    expect(hv.memory.frames.freeFrames).toBeGreaterThanOrEqual(before + PAGES);
  });
});
