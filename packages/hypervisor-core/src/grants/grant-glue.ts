import type { GrantMapper, GrantMemory } from '@xenolith/grant-tables';
import type { FrameTable } from '@xenolith/mmu/frames';
import { FrameType } from '@xenolith/mmu/frames';
import {
  DOMID_FIRST_RESERVED,
  GNTMAP_contains_pte,
  GNTST_bad_page,
  GNTST_general_error,
  GNTST_okay,
} from '@xenolith/xen-abi';
import type { Vcpu } from '../domain/vcpu.js';
import { createGrantMapping, type PvMemory, replaceGrantMapping } from '../memory/index.js';

/** Frame of a native domain's gfn, or undefined. */
export type Translate = (domid: number, gfn: number) => number | undefined;

/** Machine memory as the grant tables need it, over the frame table. */
export function grantMemory(
  frames: FrameTable,
  isNative: (domid: number) => boolean,
  translate: Translate,
): GrantMemory {
  const { machine } = frames;
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
    wrote: (mfn, offset, length) => frames.codeWritten(mfn * 4096 + offset, length),
  };
}

/** What makes and removes the page-table entries of grant mappings, for the vCPU that makes the hypercall. */
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
      if (!vcpu) return GNTST_general_error;
      const status = replaceGrantMapping(memory, vcpu, hostAddr, mfn, newAddr, flags);
      if (status === GNTST_okay) {
        if (flags & GNTMAP_contains_pte) memory.flushAll();
        else memory.tlb.flushPage(hostAddr);
        if (newAddr !== 0n) memory.tlb.flushPage(newAddr);
      }
      return status;
    },
    crash,
  };
}
