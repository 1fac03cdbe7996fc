import { InvariantError } from '@xenolith/host-interface';
import {
  DOMID_SELF,
  EINVAL,
  EOPNOTSUPP,
  EPERM,
  ESRCH,
  GNTMAP_host_map,
  GNTMAP_readonly,
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_eagain,
  GNTST_general_error,
  GNTST_okay,
  GNTST_permission_denied,
  GNTTAB_CACHE_CLEAN,
  GNTTAB_CACHE_INVAL,
  GTF_permit_access,
} from '@xenolith/xen-abi';
import { PAGE_SIZE } from './constants.js';
import { type CopyRequest, grantCopy } from './copy.js';
import { DomainGrants, type GrantDomainOptions } from './domain-grants.js';
import type { GrantMapper, GrantMemory } from './grant-memory.js';
import { checkInvariants, type HeldReferences, heldReferences } from './invariants.js';
import { type Context, type MapRequest, type MapResult, mapGrantRef } from './map.js';
import { NativeMapping } from './native-mapping.js';
import type { GrantVersion } from './shared-entry.js';
import { type TransferRequest, transferFrame } from './transfer.js';
import { forgetGranter, releaseMappings, type UnmapRequest, unmapGrantRef } from './unmap.js';
import { setVersion } from './version.js';

/** `struct gnttab_cache_flush`. */
export interface CacheFlushRequest {
  devBusAddr: bigint;
  offset: number;
  length: number;
  op: number;
}

/** What a domain gets to map of its own table. */
export interface FrameList {
  status: number;
  /** Machine frames. */
  frames: readonly number[];
}

/**
 * The grant tables of a host: what GNTTABOP_* do, with the statuses and the order of checks of Xen 4.17
 * (xen/common/grant_table.c). Each method does one element of a hypercall's array; `domid` and `vcpu` are the caller's.
 * A `status` is a GNTST_*; where the whole hypercall fails, the result is −errno and says so. Nothing here throws for
 * what a guest does.
 */
export class GrantTables {
  private readonly domains = new Map<number, DomainGrants>();
  private readonly native = new Map<DomainGrants, Map<number, NativeMapping>>();
  private readonly view: DataView;
  private readonly context: Context;

  constructor(memory: GrantMemory, mapper: GrantMapper) {
    this.view = new DataView(memory.bytes.buffer, memory.bytes.byteOffset, memory.bytes.byteLength);
    this.context = { memory, mapper, find: (domid) => this.domains.get(domid) };
  }

  /**
   * Every domain begins with one frame and version 1. @returns false when there is no memory for it
   * @throws BadInputError when a domain cannot have such limits
   */
  addDomain(options: GrantDomainOptions): boolean {
    if (this.domains.has(options.domid)) throw new InvariantError(`Domain ${options.domid} exists already.`);
    const domain = new DomainGrants(options, this.context.memory, this.view);
    if (!domain.grow(1)) return false;
    this.domains.set(options.domid, domain);
    return true;
  }

  /**
   * The domain dies: what it mapped is released (a PV domain's host mappings keep their references until its page
   * tables go, as in Xen), and native domains lose their mappings of its pages at once. What PV domains mapped of it
   * stays until they let go: see `isIdle`.
   */
  setDying(domid: number): void {
    const domain = this.known(domid);
    domain.dying = true;
    for (const mapping of this.native.get(domain)?.values() ?? []) mapping.revoke();
    this.native.delete(domain);
    releaseMappings(this.context, domain);
    for (const [holder, mappings] of this.native) {
      for (const mapping of mappings.values()) if (mapping.granter === domid) this.endNative(holder, mapping);
    }
  }

  /** Whether no grant of the domain is in use, so that it may be removed. */
  isIdle(domid: number): boolean {
    return this.known(domid).pinned().next().done === true;
  }

  /**
   * Forgets a dead domain and frees its table. A PV domain may still have handles of its grants: when it wrote over the
   * page-table entry of a mapping, nothing holds the frame any more. Such handles lead nowhere from now on.
   */
  removeDomain(domid: number): void {
    const domain = this.known(domid);
    if (!domain.dying) this.setDying(domid);
    for (const holder of this.domains.values()) forgetGranter(holder, domain);
    this.domains.delete(domid);
    domain.freeFrames();
  }

  map(domid: number, vcpu: number, op: MapRequest): MapResult {
    return mapGrantRef(this.context, this.known(domid), vcpu, op);
  }

  /** Also GNTTABOP_unmap_and_replace, with `newAddr`. */
  unmap(domid: number, op: UnmapRequest): number {
    return unmapGrantRef(this.context, this.known(domid), op);
  }

  copy(domid: number, op: CopyRequest): number {
    return grantCopy(this.context, this.known(domid), op);
  }

  transfer(domid: number, op: TransferRequest): number {
    return transferFrame(this.context, this.known(domid), op);
  }

  /** GNTTABOP_setup_table, whose count must be 1 (the caller's EINVAL). @returns the frames to write to the list: mfns */
  setupTable(domid: number, dom: number, frames: number): FrameList {
    const domain = this.target(domid, dom);
    if (typeof domain === 'number') return { status: domain, frames: [] };
    if (frames > domain.maxFrames || !domain.grow(frames)) return { status: GNTST_general_error, frames: [] };
    return { status: GNTST_okay, frames: domain.frames.slice(0, frames) };
  }

  querySize(domid: number, dom: number): { status: number; frames: number; maxFrames: number } {
    const domain = this.target(domid, dom);
    if (typeof domain === 'number') return { status: domain, frames: 0, maxFrames: 0 };
    return { status: GNTST_okay, frames: domain.frames.length, maxFrames: domain.maxFrames };
  }

  /** The domain chooses the layout of its own entries. @returns the hypercall's result, and the version that is in force */
  setVersion(domid: number, version: number): { result: number; version: GrantVersion } {
    const domain = this.known(domid);
    const result = setVersion(this.context.memory, domain, version);
    return { result, version: domain.version };
  }

  /** @returns the version, or −errno for the hypercall */
  getVersion(domid: number, dom: number): number {
    const domain = this.target(domid, dom);
    if (typeof domain === 'number') return domain === GNTST_bad_domain ? -ESRCH : -EPERM;
    return domain.version;
  }

  /** GNTTABOP_get_status_frames, whose count must be 1. @returns the frames to write to the list: mfns; none in version 1 */
  getStatusFrames(domid: number, dom: number, frames: number): FrameList {
    const domain = this.target(domid, dom);
    if (typeof domain === 'number') return { status: domain, frames: [] };
    if (frames > domain.statusFrames.length) return { status: GNTST_general_error, frames: [] };
    return { status: GNTST_okay, frames: domain.statusFrames.slice(0, frames) };
  }

  swap(domid: number, refA: number, refB: number): number {
    const domain = this.known(domid);
    if (refA >= domain.entries || refB >= domain.entries) return GNTST_bad_gntref;
    if (refA === refB) return GNTST_okay;
    if (domain.activeEntry(refA).pin || domain.activeEntry(refB).pin) return GNTST_eagain;
    domain.shared(refA).swap(domain.shared(refB));
    return GNTST_okay;
  }

  /** Caches are coherent here, so this only checks its arguments. @returns 0 or −errno for the hypercall */
  cacheFlush(domid: number, op: CacheFlushRequest): number {
    const { offset, length } = op;
    const ops = GNTTAB_CACHE_INVAL | GNTTAB_CACHE_CLEAN;
    if (offset >= PAGE_SIZE || length > PAGE_SIZE || offset + length > PAGE_SIZE || op.op & ~ops)
      return -EINVAL;
    if (length === 0 || op.op === 0) return 0;
    const mfn = Number(op.devBusAddr / BigInt(PAGE_SIZE));
    const owner = this.context.memory.owner(mfn);
    if (owner === 'invalid') return -EINVAL;
    if (owner === undefined || !this.domains.has(owner)) return -EPERM;
    if (owner !== domid && !this.known(domid).isUsed(owner, mfn)) return -EINVAL;
    // x86 has no instruction that drops lines without writing them back.
    return op.op === GNTTAB_CACHE_INVAL ? -EOPNOTSUPP : 0;
  }

  /** Whether the domain has a host mapping of the frame by grant. O(1): TLB fills ask this. */
  isMappedBy(domid: number, mfn: number, write: boolean): boolean {
    const owner = this.context.memory.owner(mfn);
    if (typeof owner !== 'number') return false;
    return this.domains.get(domid)?.isMapped(owner, mfn, write) ?? false;
  }

  /** Maps a grant for a native (translated) domain. @returns the mapping, or a negative GNTST */
  mapForNative(domid: number, granter: number, ref: number, readonly: boolean): NativeMapping | number {
    const holder = this.known(domid);
    if (!holder.translated) throw new InvariantError(`Domain ${domid} is not a native domain.`);
    const flags = GNTMAP_host_map | (readonly ? GNTMAP_readonly : 0);
    const context: Context = { ...this.context, mapper: nativeMapper };
    const { status, handle, devBusAddr } = mapGrantRef(context, holder, 0, {
      hostAddr: 0n,
      flags,
      ref,
      dom: granter,
    });
    if (status !== GNTST_okay) return status;
    const mfn = Number(devBusAddr / BigInt(PAGE_SIZE));
    const mapping = new NativeMapping(this.context.memory, this.view, granter, ref, handle, mfn, readonly);
    const mappings = this.native.get(holder) ?? new Map<number, NativeMapping>();
    this.native.set(holder, mappings.set(handle, mapping));
    return mapping;
  }

  /** Ends a native mapping; nothing happens if it has ended already (its granter died). */
  unmapForNative(domid: number, mapping: NativeMapping): void {
    if (mapping.live) this.endNative(this.known(domid), mapping);
  }

  /**
   * Writes an entry into a domain's table, as a toolstack does for the console and xenstore rings before the guest
   * runs, or a native domain for what it grants itself. @param frame mfn (PV) or gfn (translated)
   */
  writeEntry(domid: number, ref: number, to: number, frame: number, readonlyFlag = 0): void {
    const domain = this.known(domid);
    if (ref >= domain.entries)
      throw new InvariantError(`Grant ${ref} is beyond the table of domain ${domid}.`);
    domain.shared(ref).write(GTF_permit_access | readonlyFlag, to, frame);
  }

  /** Takes an entry out of a domain's table, as its own kernel does. @returns false while somebody uses the grant */
  endEntry(domid: number, ref: number): boolean {
    const domain = this.known(domid);
    if (ref >= domain.entries) return true;
    if (domain.activeEntry(ref).pin !== 0) return false;
    domain.shared(ref).write(0, 0, 0);
    return true;
  }

  /** Throws InvariantError if pins, mappings and counts contradict each other. For tests and test builds. */
  checkInvariants(): void {
    checkInvariants(this.domains);
  }

  /**
   * What mappings hold of frames besides page-table entries: those for devices, and host mappings of translated domains.
   * For recounts of frames.
   */
  heldReferences(): Generator<HeldReferences> {
    return heldReferences(this.domains);
  }

  private endNative(holder: DomainGrants, mapping: NativeMapping): void {
    mapping.revoke();
    this.native.get(holder)?.delete(mapping.handle);
    const op: UnmapRequest = { hostAddr: 1n, devBusAddr: 0n, handle: mapping.handle };
    const status = unmapGrantRef({ ...this.context, mapper: nativeMapper }, holder, op);
    if (status !== GNTST_okay)
      throw new InvariantError(`Native mapping ${mapping.handle} does not unmap: ${status}.`);
  }

  /** The domain that an operation is about, or a negative GNTST. */
  private target(caller: number, dom: number): DomainGrants | number {
    const domain = this.domains.get(dom === DOMID_SELF ? caller : dom);
    if (!domain) return GNTST_bad_domain;
    return domain.domid === caller || this.known(caller).privileged ? domain : GNTST_permission_denied;
  }

  private known(domid: number): DomainGrants {
    const domain = this.domains.get(domid);
    if (!domain) throw new InvariantError(`Domain ${domid} has no grant table here.`);
    return domain;
  }
}

/** A native domain has no page tables: there is nothing to write. */
const nativeMapper: GrantMapper = {
  map: () => GNTST_okay,
  unmap: () => GNTST_okay,
  crash: (domid, reason) => {
    throw new InvariantError(`Native domain ${domid} ${reason}.`);
  },
};
