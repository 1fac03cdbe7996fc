import { MachineMemory } from '@xenolith/mmu';
import { FrameType } from '@xenolith/mmu/frames';
import { DOMID_SELF, MmuextOp, MmuUpdate } from '@xenolith/xen-abi';
import { DomainRelease } from '../domain-release.js';
import type { GuestAccess, PvDomain, PvVcpu, TlbControl } from '../interfaces.js';
import { mmuUpdate } from '../mmu-update.js';
import { mmuextOp } from '../mmuext-op.js';
import { PTE_PRESENT, PTE_RW, PTE_USER, pteFrame } from '../pte.js';
import { PvMemory } from '../pv-memory.js';
import { recountFrames } from '../recount.js';
import { updateVaMapping } from '../update-va-mapping.js';
import { findL1Entry } from '../walk.js';

/** Where the small guest sees its pfn 0; pfn n follows n pages later. */
export const BASE = 0x40_0000n;
/** The pfns of its first page tables. */
export const PFN = { l4: 0, l3: 1, l2: 2, l1: 3, data: 4 } as const;
export const P = BigInt(PTE_PRESENT);
export const RW = BigInt(PTE_PRESENT | PTE_RW | PTE_USER);
export const RO = BigInt(PTE_PRESENT | PTE_USER);

/** A TLB that only counts what it is told. */
export class CountingTlb implements TlbControl {
  full = 0;
  readonly pages: bigint[] = [];
  readonly writesForgotten: number[] = [];
  readonly bases: number[] = [];
  readonly userBases: number[] = [];
  readonly code: number[] = [];
  baseChanged(vcpu: PvVcpu): void {
    this.bases.push(vcpu.guestTable);
  }
  userBaseChanged(vcpu: PvVcpu): void {
    this.userBases.push(vcpu.guestTableUser);
  }
  flushPage(linear: bigint): void {
    this.pages.push(linear);
  }
  flushAll(): void {
    this.full++;
  }
  forgetWrites(mfn: number): void {
    this.writesForgotten.push(mfn);
  }
  codeWritten(address: number): void {
    this.code.push(address);
  }
}

export class TestDomain implements PvDomain {
  totPages = 0;
  dying = false;
  memoryMap: PvDomain['memoryMap'] = [];
  maxPfn = 0;
  crashed: string | undefined;
  readonly assists = new Set<number>();
  readonly vcpus: TestVcpu[] = [];
  constructor(
    readonly domid: number,
    public maxPages: number,
  ) {
    this.vcpus.push(new TestVcpu(this, 0));
  }
  hasAssist(type: number): boolean {
    return this.assists.has(type);
  }
  crash(reason: string): void {
    this.crashed = reason;
  }
}

export class TestVcpu implements PvVcpu {
  guestTable = 0;
  guestTableUser = 0;
  kernelMode = true;
  gdtFrames: number[] = [];
  gdtEntries = 0;
  ldtBase = 0n;
  ldtEntries = 0;
  readonly ldtFrames = new Uint32Array(16);
  keptTables: readonly number[] = [];
  constructor(
    readonly domain: TestDomain,
    readonly vcpuId: number,
  ) {}
}

/**
 * A domain with 4 page tables (pfn 0 … 3, mapped read-only) and plain memory behind them (mapped writable), and hypercalls
 * as it would make them: arguments lie in its own last page.
 */
export class SmallGuest implements GuestAccess {
  readonly mfns: number[];
  readonly vcpu: TestVcpu;

  constructor(
    readonly memory: PvMemory,
    readonly domain: TestDomain,
    readonly pages = 32,
  ) {
    this.vcpu = domain.vcpus[0];
    this.mfns = [...memory.allocate(domain, pages)];
    for (let pfn = 0; pfn < pages; pfn++) memory.setM2pRun(this.mfns[pfn], pfn, 1);
    this.poke(PFN.l4, 0, this.entry(PFN.l3, RW));
    this.poke(PFN.l3, 0, this.entry(PFN.l2, RW));
    this.poke(PFN.l2, Number(BASE >> 21n), this.entry(PFN.l1, RW));
    for (let pfn = 0; pfn < pages; pfn++) this.poke(PFN.l1, pfn, this.entry(pfn, pfn < PFN.data ? RO : RW));
    const pinned = memory.pin(this.vcpu, this.mfns[PFN.l4], FrameType.l4);
    const based = memory.setBase(this.vcpu, this.mfns[PFN.l4]);
    if (pinned !== 0 || based !== 0) throw new Error(`the small guest cannot start: ${pinned}, ${based}`);
  }

  /** The value of an entry that maps a pfn. */
  entry(pfn: number, flags: bigint): bigint {
    return (BigInt(this.mfns[pfn]) << 12n) | flags;
  }

  /** Machine address of entry `slot` of the table at `pfn`. */
  slot(pfn: number, slot: number): bigint {
    return (BigInt(this.mfns[pfn]) << 12n) + BigInt(slot * 8);
  }

  va(pfn: number): bigint {
    return BASE + BigInt(pfn * 4096);
  }

  /** Writes memory past all checks: for tables that are not validated. */
  poke(pfn: number, slot: number, value: bigint): void {
    this.memory.machine.view.setBigUint64(this.mfns[pfn] * 4096 + slot * 8, value, true);
  }

  peek(pfn: number, slot: number): bigint {
    return this.memory.machine.view.getBigUint64(this.mfns[pfn] * 4096 + slot * 8, true);
  }

  copyFrom(address: bigint, length: number): Uint8Array | undefined {
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i++) {
      const at = this.#machine(address + BigInt(i), false);
      if (at < 0) return undefined;
      out[i] = this.memory.machine.bytes[at];
    }
    return out;
  }

  copyInto(address: bigint, into: Uint8Array): boolean {
    const bytes = this.copyFrom(address, into.length);
    if (bytes) into.set(bytes);
    return bytes !== undefined;
  }

  copyTo(address: bigint, bytes: Uint8Array): boolean {
    for (let i = 0; i < bytes.length; i++) {
      const at = this.#machine(address + BigInt(i), true);
      if (at < 0) return false;
      this.memory.machine.bytes[at] = bytes[i];
    }
    return true;
  }

  #machine(linear: bigint, write: boolean): number {
    const at = findL1Entry(this.memory, this.vcpu.guestTable, linear);
    const u32 = this.memory.machine.u32;
    const need = write ? PTE_PRESENT | PTE_RW : PTE_PRESENT;
    if (at < 0 || (u32[at] & need) !== need) return -1;
    return pteFrame(u32[at], u32[at + 1]) * 4096 + Number(linear & 0xfffn);
  }

  /** Where hypercall arguments are put. */
  get scratch(): bigint {
    return this.va(this.pages - 1);
  }

  /** mmu_update with [ptr, val] pairs; returns [result, number done]. */
  mmuUpdate(
    requests: readonly (readonly [bigint, bigint])[],
    foreign: number = DOMID_SELF,
  ): [number, number] {
    const bytes = new Uint8Array(requests.length * MmuUpdate.size);
    const view = new DataView(bytes.buffer);
    requests.forEach(([ptr, val], i) => {
      view.setBigUint64(i * MmuUpdate.size + MmuUpdate.offset.ptr, ptr, true);
      view.setBigUint64(i * MmuUpdate.size + MmuUpdate.offset.val, val, true);
    });
    return this.#call(bytes, (list, done) =>
      mmuUpdate(this.memory, this.vcpu, this, list, requests.length, done, foreign),
    );
  }

  /** mmuext_op with [cmd, arg1, arg2] operations; returns [result, number done]. */
  mmuext(
    ops: readonly (readonly [number, bigint, bigint?])[],
    foreign: number = DOMID_SELF,
  ): [number, number] {
    const bytes = new Uint8Array(ops.length * MmuextOp.size);
    const view = new DataView(bytes.buffer);
    ops.forEach(([cmd, arg1, arg2 = 0n], i) => {
      view.setUint32(i * MmuextOp.size + MmuextOp.offset.cmd, cmd, true);
      view.setBigUint64(i * MmuextOp.size + MmuextOp.offset.arg1, arg1, true);
      view.setBigUint64(i * MmuextOp.size + MmuextOp.offset.arg2, arg2, true);
    });
    return this.#call(bytes, (list, done) =>
      mmuextOp(this.memory, this.vcpu, this, list, ops.length, done, foreign),
    );
  }

  updateVa(linear: bigint, value: bigint, flags = 0n): number {
    return updateVaMapping(this.memory, this.vcpu, this, linear, value, flags);
  }

  #call(bytes: Uint8Array, make: (list: bigint, done: bigint) => number): [number, number] {
    const list = this.scratch + 8n;
    if (!this.copyTo(list, bytes) || !this.copyTo(this.scratch, new Uint8Array(8)))
      throw new Error('no scratch page');
    const rc = make(list, this.scratch);
    const done = this.copyFrom(this.scratch, 4);
    return [rc, done === undefined ? -1 : new DataView(done.buffer).getUint32(0, true)];
  }
}

/** A machine with two domains (1 and 2; 0 exists but is no PV domain). */
export class TestHost {
  readonly tlb = new CountingTlb();
  readonly machine: MachineMemory;
  readonly memory: PvMemory;
  readonly domains = new Map<number, TestDomain>();

  constructor(frames = 256) {
    this.machine = new MachineMemory(frames);
    this.memory = new PvMemory(this.machine, this.tlb, {
      byId: (domid) => this.domains.get(domid),
      exists: (domid) => domid === 0 || this.domains.has(domid),
    });
  }

  /** Takes a dying domain's memory apart; returns how many frames others hold, and the number of pieces it took. */
  release(domain: TestDomain): { left: number; steps: number } {
    const release = new DomainRelease(this.memory, domain);
    let steps = 0;
    for (; !release.isDone; steps++) {
      this.memory.work.limited(() => release.step());
      const problems = this.recount();
      if (problems.length > 0) throw new Error(problems.join('\n'));
    }
    return { left: release.left, steps };
  }

  guest(domid = 1, pages = 32): SmallGuest {
    const domain = new TestDomain(domid, pages + 16);
    this.domains.set(domid, domain);
    return new SmallGuest(this.memory, domain, pages);
  }

  recount(): string[] {
    return recountFrames(this.memory, this.domains.values());
  }
}
