import { FIRST_RESERVED_GDT_ENTRY } from '@xenolith/xen-abi';
import { DESC, isCanonical, U64, VECTOR } from '../arch/x86.js';
import { ldtFrame } from '../memory/ldt.js';
import type { Running } from './running.js';
import type { Vcpu } from './vcpu.js';

/** A segment descriptor: `high` holds the attributes (`DESC`). */
export interface Descriptor {
  low: number;
  high: number;
}

/** The flat segments that Xen keeps in the GDT, from 0xe000 on, by index (asm/config.h). Those of ring 0 are Xen's own. */
const XEN_SEGMENTS: readonly (Descriptor | undefined)[] = [
  undefined,
  { low: 0x0000_0000, high: 0x00af_9b00 },
  { low: 0x0000_ffff, high: 0x00cf_9300 },
  undefined,
  { low: 0x0000_ffff, high: 0x00cf_fb00 },
  { low: 0x0000_ffff, high: 0x00cf_f300 },
  { low: 0x0000_0000, high: 0x00af_fb00 },
];

/** Why a segment cannot be loaded: #GP, #SS or #NP with the selector as error code, or a page fault at `address`. */
export interface SegmentFault {
  vector: number;
  errorCode: number;
  address?: bigint;
}

export const isFault = (x: Descriptor | SegmentFault): x is SegmentFault => 'vector' in x;

export const segmentFault = (vector: number, selector: number): SegmentFault => ({
  vector,
  errorCode: selector & 0xfffc,
});

/**
 * The descriptor that a selector names in the vCPU's GDT or LDT. The processor's GDT ends behind Xen's own descriptors, so
 * all 512 of a guest's frame can be used, however many it announced. A page of the LDT that is not there is a page fault of
 * the guest's at its own address of the table (handle_ldt_mapping_fault of xen/arch/x86/traps.c).
 */
export function readDescriptor(run: Running, vcpu: Vcpu, selector: number): Descriptor | SegmentFault {
  const index = selector >> 3;
  const absent = segmentFault(VECTOR.generalProtection, selector);
  if (selector & 4) {
    if (index >= vcpu.ldtEntries) return absent;
    const frame = ldtFrame(run.memory, vcpu, index * 8);
    if (frame !== 0) return at(run, frame, index);
    const address = U64(vcpu.ldtBase + BigInt(index * 8));
    return isCanonical(address) ? { vector: VECTOR.pageFault, errorCode: 0, address } : absent;
  }
  if (index === 0) return absent;
  if (index >= FIRST_RESERVED_GDT_ENTRY) return XEN_SEGMENTS[index - FIRST_RESERVED_GDT_ENTRY] ?? absent;
  const frame = vcpu.gdtFrames[index >> 9];
  return frame ? at(run, frame, index) : absent;
}

function at(run: Running, frame: number, index: number): Descriptor {
  const address = frame * 4096 + (index & 511) * 8;
  return { low: run.cpu.view.getUint32(address, true), high: run.cpu.view.getUint32(address + 4, true) };
}

export const descriptorBase = (d: Descriptor): number =>
  ((d.low >>> 16) | ((d.high & 0xff) << 16) | (d.high & 0xff00_0000)) >>> 0;

export function descriptorLimit(d: Descriptor): number {
  const limit = (d.low & 0xffff) | (d.high & 0xf_0000);
  return d.high & DESC.granularity ? limit * 4096 + 4095 : limit;
}

export const descriptorDpl = (d: Descriptor): number => (d.high >> DESC.dplShift) & 3;
