import type { GrantMapper, GrantMemory } from '@xenolith/grant-tables';
import { FrameType } from '@xenolith/mmu/frames';
import { DOMID_FIRST_RESERVED, GNTST_bad_page, GNTST_general_error } from '@xenolith/xen-abi';
import type { Vcpu } from '../domain/vcpu.js';
import { createGrantMapping, type PvMemory, replaceGrantMapping } from '../memory/index.js';

/** Frame of a native domain's gfn, or undefined. */
export type Translate = (domid: number, gfn: number) => number | undefined;

/** Machine memory as the grant tables need it, over the frame table. */
export function grantMemory(
  memory: PvMemory,
  isNative: (domid: number) => boolean,
  translate: Translate,
): GrantMemory {
  const { frames, machine } = memory;
  const count = (domid: number, change: 1 | -1): void => {
    const domain = memory.domains.byId(domid);
    if (domain) domain.totPages += change;
  };
  return {
    bytes: machine.bytes,
    getFrame(domid, frame) {
      const mfn = isNative(domid) ? translate(domid, frame) : frame;
      return mfn !== undefined && frames.getPage(mfn, domid) ? mfn : GNTST_bad_page;
    },
    getPage: (mfn, domid) => frames.getPage(mfn, domid),
    putPage: (mfn) => frames.putPage(mfn),
    getWritableType: (mfn) => frames.getPageType(mfn, FrameType.writable) === 0,
    putWritableType: (mfn) => frames.putPageType(mfn),
    owner(mfn) {
      if (!frames.isValid(mfn)) return 'invalid';
      const owner = frames.owner(mfn);
      return owner < DOMID_FIRST_RESERVED ? owner : undefined;
    },
    allocGrantFrame(domid) {
      const mfn = frames.allocateXen();
      if (mfn < 0) return undefined;
      frames.shareXen(mfn, domid);
      return mfn;
    },
    freeGrantFrame: (_domid, mfn) => void frames.freeXen(mfn),
    isGrantFrameMapped: (mfn) => frames.references(mfn) > (frames.isAllocated(mfn) ? 1 : 0),
    stealFrame(domid, mfn) {
      // Only PV domains give frames away (steal_page).
      if (isNative(domid)) return GNTST_general_error;
      if (!frames.steal(mfn, domid)) return GNTST_bad_page;
      count(domid, -1);
      return mfn;
    },
    discardFrame(mfn) {
      memory.m2p.clear(mfn);
      frames.discard(mfn);
    },
    takesFrame(domid) {
      const domain = memory.domains.byId(domid);
      return domain !== undefined && !domain.dying && domain.totPages < domain.maxPages;
    },
    giveFrame(mfn, domid, gfn) {
      frames.reassign(mfn, domid);
      memory.setM2pRun(mfn, gfn, 1);
      count(domid, 1);
    },
    wrote: (mfn, offset, length) => frames.codeWritten(mfn * 4096 + offset, length),
  };
}

/**
 * What makes and removes the page-table entries of grant mappings, for the vCPU that makes the hypercall; the hypercall
 * flushes the TLB.
 */
export function grantMapper(
  memory: PvMemory,
  caller: (domid: number) => Vcpu | undefined,
  crash: (domid: number, reason: string) => void,
): GrantMapper {
  return {
    map(domid, hostAddr, mfn, flags) {
      const vcpu = caller(domid);
      return vcpu ? createGrantMapping(memory, vcpu, hostAddr, mfn, flags) : GNTST_general_error;
    },
    unmap(domid, hostAddr, mfn, newAddr, flags) {
      const vcpu = caller(domid);
      return vcpu ? replaceGrantMapping(memory, vcpu, hostAddr, mfn, newAddr, flags) : GNTST_general_error;
    },
    crash,
  };
}
