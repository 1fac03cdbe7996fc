import { BadInputError } from '@xenolith/host-interface';
import type { MachineMemory } from '@xenolith/mmu';
import { FrameTable, FrameType, M2p } from '@xenolith/mmu/frames';
import {
  DOMID_IO,
  DOMID_SELF,
  DOMID_XEN,
  EINVAL,
  ERESTART,
  ESRCH,
  VMASST_TYPE_m2p_strict,
} from '@xenolith/xen-abi';
import { destroyGdt } from './descriptors.js';
import type { Continuation, DomainLookup, PvDomain, PvVcpu, TlbControl } from './interfaces.js';
import { destroyLdt } from './ldt.js';
import { PageTables } from './page-tables.js';
import { Work } from './work.js';

/** The PV memory policy of one host: its frame table, M2P and page tables. The hypercalls are functions over it. */
export class PvMemory {
  readonly frames: FrameTable;
  readonly m2p: M2p;
  readonly tables: PageTables;
  /** What is done for guests, and how much of it one hypercall may do at once. */
  readonly work = new Work();
  /** Told why something of a guest's was refused; for a log. */
  onRefused: ((reason: string) => void) | undefined;
  /** Told when a domain's frame became free, or one lent to it came back to the hypervisor. */
  onFrameGone: ((domid: number, mfn: number) => void) | undefined;
  #continuation: Continuation | undefined;

  constructor(
    readonly machine: MachineMemory,
    readonly tlb: TlbControl,
    readonly domains: DomainLookup,
  ) {
    this.frames = new FrameTable(machine);
    this.m2p = new M2p(this.frames);
    this.tables = new PageTables(
      this.frames,
      this.m2p,
      this.work,
      (reason) => this.refused(reason),
      (domid) => domains.byId(domid)?.hasAssist?.(VMASST_TYPE_m2p_strict) ?? false,
    );
    this.frames.validator = this.tables;
    this.frames.hooks = {
      forgetWrites: (mfn) => {
        if (tlb.forgetWrites) tlb.forgetWrites(mfn);
        else this.flushAll();
      },
      forgetAll: () => this.flushAll(),
      codeWritten: (address, length) => tlb.codeWritten(address, length),
      freed: (mfn, owner) => {
        this.work.done++;
        this.m2p.clear(mfn);
        const domain = domains.byId(owner);
        if (domain !== undefined) domain.totPages--;
        this.onFrameGone?.(owner, mfn);
      },
      returned: (mfn, owner) => this.onFrameGone?.(owner, mfn),
    };
  }

  refused(reason: string): void {
    this.onRefused?.(reason);
  }

  flushAll(): void {
    this.tlb.flushAll();
    this.frames.noteFullFlush();
  }

  // ── Long hypercalls ────────────────────────────────────────────────────────────────────────────────────────────

  /** Records how the hypercall goes on, and returns −ERESTART for its handler to return. */
  continueWith(args: Continuation): number {
    this.#continuation = args;
    return -ERESTART;
  }

  /** The arguments with which the hypercall that returned −ERESTART is to be made again. */
  takeContinuation(): Continuation | undefined {
    const args = this.#continuation;
    this.#continuation = undefined;
    return args;
  }

  /**
   * Whose frames a hypercall's `foreigndom` means: a domid, or −ESRCH. A guest must say DOMID_SELF for itself, not its own
   * number (as Xen's get_pg_owner). Whether the guest may is for the caller to decide.
   */
  pageOwner(vcpu: PvVcpu, domid: number): number {
    if (domid === DOMID_SELF) return vcpu.domain.domid;
    if (domid === vcpu.domain.domid) return -ESRCH;
    if (domid === DOMID_IO || domid === DOMID_XEN || this.domains.exists(domid)) return domid;
    return -ESRCH;
  }

  /** The caller's own domain when `domid` (DOMID_SELF or its number) means it. */
  ownDomain(vcpu: PvVcpu, domid: number): PvDomain | undefined {
    return domid === DOMID_SELF || domid === vcpu.domain.domid ? vcpu.domain : undefined;
  }

  // ── Domains ────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Gives a domain `count` frames and returns them in the order of allocation; their M2P entries stay invalid. Throws
   * `BadInputError` when the domain's limit or the machine's memory does not allow it: then nothing was given.
   */
  allocate(domain: PvDomain, count: number): Uint32Array {
    if (domain.totPages + count > domain.maxPages) {
      throw new BadInputError(
        `Domain ${domain.domid} may have ${domain.maxPages} frames, but ${domain.totPages + count} are needed.`,
      );
    }
    if (count > this.frames.freeFrames) {
      throw new BadInputError(
        `The machine has ${this.frames.freeFrames} free frames of 4 KiB, but ${count} are needed.`,
      );
    }
    const out = new Uint32Array(count);
    for (let i = 0; i < count; i++) out[i] = this.frames.allocate(domain.domid);
    domain.totPages += count;
    return out;
  }

  /** Enters `count` frames from `mfn` on as the pfns from `pfn` (up to 2^53) on. */
  setM2pRun(mfn: number, pfn: number, count: number): void {
    for (let i = 0; i < count; i++) this.m2p.set(mfn + i, pfn + i, Math.floor((pfn + i) / 2 ** 32));
  }

  /**
   * An operation of a vCPU that may validate tables. When it had to stop in the middle (−ERESTART), the vCPU holds what is
   * done, so that the next attempt finds it validated; what it held before is given back, and everything when one comes
   * to an end. At most the entries of three tables.
   */
  validating(vcpu: PvVcpu, operation: () => number): number {
    const rc = operation();
    const before = vcpu.keptTables;
    vcpu.keptTables = this.tables.takeKept();
    for (const mfn of before) this.tables.dropped.drop(mfn);
    return rc;
  }

  /** Pins a page table of the vCPU's domain, as MMUEXT_PIN_Ln_TABLE; 0 or a negative errno; −ERESTART: make it again. */
  pin(vcpu: PvVcpu, mfn: number, type: FrameType): number {
    const rc = this.validating(vcpu, () => this.frames.getPageAndType(mfn, vcpu.domain.domid, type));
    if (rc !== 0) return rc;
    if (this.frames.setPinned(mfn)) return 0;
    this.refused(`already pinned: ${this.frames.describe(mfn)}`);
    this.tables.dropped.drop(mfn);
    return -EINVAL;
  }

  unpin(mfn: number, domid: number): number {
    if (!this.frames.getPage(mfn, domid)) return -EINVAL;
    const rc = this.frames.clearPinned(mfn) ? 0 : -EINVAL;
    if (rc === 0) this.tables.dropped.drop(mfn);
    this.frames.putPage(mfn);
    return rc;
  }

  /**
   * Makes `mfn` the kernel's root table of a vCPU (0: none): MMUEXT_NEW_BASEPTR, VCPUOP_initialise, the builder.
   * −ERESTART: make it again.
   */
  setBase(vcpu: PvVcpu, mfn: number): number {
    const old = vcpu.guestTable;
    if (mfn !== old) {
      const rc = this.#getRoot(vcpu, mfn);
      if (rc !== 0) return rc;
      destroyLdt(this, vcpu);
      if (mfn !== 0 && !vcpu.domain.hasAssist?.(VMASST_TYPE_m2p_strict)) this.tables.showM2p(mfn);
      vcpu.guestTable = mfn;
    }
    this.tlb.baseChanged(vcpu);
    if (mfn !== old && old !== 0) this.tables.dropped.drop(old);
    return 0;
  }

  /** Makes `mfn` the user root table of a vCPU; 0: none. −ERESTART: make it again. */
  setUserBase(vcpu: PvVcpu, mfn: number): number {
    const old = vcpu.guestTableUser;
    if (mfn === old) return 0;
    const rc = this.#getRoot(vcpu, mfn);
    if (rc !== 0) return rc;
    if (mfn !== 0 && vcpu.domain.hasAssist?.(VMASST_TYPE_m2p_strict)) this.tables.hideM2p(mfn);
    vcpu.guestTableUser = mfn;
    this.tlb.userBaseChanged(vcpu);
    if (old !== 0) this.tables.dropped.drop(old);
    return 0;
  }

  #getRoot(vcpu: PvVcpu, mfn: number): number {
    if (mfn === 0) return 0;
    return this.validating(vcpu, () => this.frames.getPageAndType(mfn, vcpu.domain.domid, FrameType.l4));
  }

  /** Gives back what one vCPU holds: root tables, GDT, LDT, tables of an operation that is not over. */
  releaseVcpu(vcpu: PvVcpu): void {
    this.validating(vcpu, () => 0);
    destroyLdt(this, vcpu);
    destroyGdt(this, vcpu);
    vcpu.ldtEntries = 0;
    this.setUserBase(vcpu, 0);
    this.setBase(vcpu, 0);
  }
}
