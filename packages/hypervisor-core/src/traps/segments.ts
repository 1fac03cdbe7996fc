import { DESC, SEG, VECTOR } from '../arch/x86.js';
import {
  type Descriptor,
  descriptorDpl,
  segmentFault as fault,
  isFault,
  readDescriptor,
  type SegmentFault,
} from '../domain/descriptors.js';
import type { Running } from '../domain/running.js';
import type { Vcpu } from '../domain/vcpu.js';
import { injectException, injectPageFault } from './inject.js';

/** Gives the guest the exception. */
export function injectSegmentFault(run: Running, vcpu: Vcpu, fault: SegmentFault): void {
  if (fault.address === undefined) injectException(run, vcpu, fault.vector, fault.errorCode);
  else injectPageFault(run, vcpu, fault.errorCode, fault.address);
}

/** Checks that a processor at CPL 3 makes before it loads a data segment register with a selector that is not null. */
export function checkDataSegment(
  run: Running,
  vcpu: Vcpu,
  segment: number,
  selector: number,
): Descriptor | SegmentFault {
  const descriptor = readDescriptor(run, vcpu, selector);
  if (isFault(descriptor)) return descriptor;
  if (!(descriptor.high & DESC.s)) return fault(VECTOR.generalProtection, selector);
  const { high } = descriptor;
  const dpl = descriptorDpl(descriptor);
  const code = (high & DESC.code) !== 0;
  if (segment === SEG.ss) {
    if ((selector & 3) !== 3 || code || !(high & DESC.rw) || dpl !== 3) {
      return fault(VECTOR.generalProtection, selector);
    }
    return high & DESC.present ? descriptor : fault(VECTOR.stackSegment, selector);
  }
  const conforming = code && (high & DESC.conforming) !== 0;
  if ((code && !(high & DESC.rw)) || (!conforming && dpl < 3))
    return fault(VECTOR.generalProtection, selector);
  return high & DESC.present ? descriptor : fault(VECTOR.segmentNotPresent, selector);
}

/** The same for CS, as a far jump, call, return or IRET to CPL 3 checks it. */
export function checkCodeSegment(run: Running, vcpu: Vcpu, selector: number): Descriptor | SegmentFault {
  const descriptor = readDescriptor(run, vcpu, selector);
  const want = DESC.s | DESC.code;
  if (isFault(descriptor)) return descriptor;
  if ((descriptor.high & want) !== want) return fault(VECTOR.generalProtection, selector);
  const { high } = descriptor;
  const dpl = descriptorDpl(descriptor);
  const reachable = high & DESC.conforming ? dpl <= 3 : dpl === 3;
  if (!reachable || (high & DESC.long && high & DESC.db)) return fault(VECTOR.generalProtection, selector);
  return high & DESC.present ? descriptor : fault(VECTOR.segmentNotPresent, selector);
}
