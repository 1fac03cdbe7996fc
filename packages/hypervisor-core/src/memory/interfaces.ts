/**
 * The border between the PV memory policy of this folder and the rest of the hypervisor. The policy owns the frame table's
 * contents, page-table validation and the memory hypercalls; domains, vCPUs, the processor and its TLB are reached only
 * through these interfaces. Frame numbers are plain numbers; 0 stands for "none" (frame 0 is never given out).
 */

/** One range of the memory map that `XENMEM_memory_map` reports; addresses in bytes, `type` as in an E820 entry (1 RAM). */
export interface MemoryRange {
  readonly address: bigint;
  readonly size: bigint;
  readonly type: number;
}

/** What the memory policy needs to know of a PV domain. */
export interface PvDomain {
  readonly domid: number;
  /** Frames allocated to the domain. Written only by the memory policy. */
  totPages: number;
  /** Upper limit of `totPages`. */
  maxPages: number;
  /** The domain's vCPUs by number; a hole is a vCPU that was never made. */
  readonly vcpus: readonly (PvVcpu | undefined)[];
  /** Answer of `XENMEM_memory_map`, which `XENMEM_set_memory_map` replaces; empty: the call answers ENOSYS. */
  memoryMap: readonly MemoryRange[];
  /** A `VMASST_TYPE_*` is enabled; without the method none is. */
  hasAssist?(type: number): boolean;
  /** `shared_info.arch.max_pfn` as the guest set it, for XENMEM_maximum_gpfn. */
  readonly maxPfn?: number;
  /** Set while the domain is being torn down: no new references to its frames are given. */
  readonly dying: boolean;
  /** The guest did something that Xen answers with domain_crash(). */
  crash(reason: string): void;
}

/** What the memory policy needs to know of a PV vCPU. All these fields but `kernelMode` are written only by the policy. */
export interface PvVcpu {
  readonly domain: PvDomain;
  readonly vcpuId: number;
  /** Frame of the kernel's L4 table (a reference and a type reference are held), 0 none. */
  guestTable: number;
  /** Frame of the user L4 table, 0 none. */
  guestTableUser: number;
  /** true while the guest runs in kernel mode (TF_kernel_mode). */
  readonly kernelMode: boolean;
  /** Frames of the guest's GDT (0 … 14 frames), each held as a seg_desc page. */
  gdtFrames: number[];
  /** Number of valid descriptors in the guest's GDT. */
  gdtEntries: number;
  /** Linear address of the guest's LDT, and its number of descriptors (0 none). */
  ldtBase: bigint;
  ldtEntries: number;
  /** Frames of the LDT that were mapped on demand, by page of the LDT (0 not yet); each is held as a seg_desc page. */
  readonly ldtFrames: Uint32Array;
  /** Page tables that an operation had validated when it stopped in the middle (`PvMemory.validating`), each held as one. */
  keptTables: readonly number[];
}

/** Guest memory as the calling vCPU sees it: linear addresses, page by page through its current page tables. */
export interface GuestAccess {
  /** A copy of `length` bytes (0 …), or undefined (EFAULT). */
  copyFrom(address: bigint, length: number): Uint8Array | undefined;
  /** Fills `into` from `address` on; false (EFAULT) when any of it is not readable: then a part may have been filled. */
  copyInto(address: bigint, into: Uint8Array): boolean;
  /** Writes all of `bytes`; false (EFAULT) when any page is not writable: earlier pages may then have been written. */
  copyTo(address: bigint, bytes: Uint8Array): boolean;
}

/** What the policy asks of the processor's TLB and code cache. */
export interface TlbControl {
  /** `vcpu.guestTable` changed: as a load of CR3, old translations of the kernel's address space are forgotten. */
  baseChanged(vcpu: PvVcpu): void;
  /** `vcpu.guestTableUser` changed (0: there is none now); takes effect at the next switch to user mode. */
  userBaseChanged(vcpu: PvVcpu): void;
  /** Forgets the translations of one page in all address spaces. */
  flushPage(linear: bigint): void;
  /** Forgets every translation of every address space. */
  flushAll(): void;
  /**
   * Forgets the write translations that lead to a frame, in all address spaces. Without it the policy uses `flushAll`.
   */
  forgetWrites?(mfn: number): void;
  /** The policy wrote [address, address + length) of machine memory, which might hold decoded code. */
  codeWritten(address: number, length: number): void;
}

/** The host's domains, as far as the policy meets them. */
export interface DomainLookup {
  /** The PV domain of that number, or undefined. DOMID_SELF and its like are resolved before. */
  byId(domid: number): PvDomain | undefined;
  /** There is such a domain, of any kind (the native domain 0 too): the difference between EPERM and ESRCH. */
  exists(domid: number): boolean;
}

/**
 * The rest of a hypercall that stopped early, to be asked for with `PvMemory.takeContinuation()` when a handler returned
 * −ERESTART: the same hypercall is to be made again with these arguments (first to last), as Xen does: in a vCPU's
 * registers with rip back at the instruction, or in the multicall entry.
 */
export type Continuation = readonly bigint[];
