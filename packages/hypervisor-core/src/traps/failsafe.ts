import { SEG } from '../arch/x86.js';
import { isFault } from '../domain/descriptors.js';
import type { Running } from '../domain/running.js';
import type { Vcpu } from '../domain/vcpu.js';
import { createBounceFrame } from './bounce-frame.js';
import { checkDataSegment } from './segments.js';

/** In the order in which the failsafe callback finds them on its stack (CALLBACKTYPE_failsafe of callback.h). */
const DATA_SEGMENTS = [SEG.ds, SEG.es, SEG.fs, SEG.gs];

/**
 * A vCPU that comes to the processor loads its data segments anew. Where a descriptor is no longer what it was, the register
 * becomes null, and the guest's failsafe callback gets the selectors (load_segments of xen/arch/x86/domain.c).
 */
export function reloadSegments(run: Running, vcpu: Vcpu): void {
  const { selectors } = run.cpu.regs;
  const wanted = DATA_SEGMENTS.map((segment) => selectors[segment]!);
  const bad = DATA_SEGMENTS.filter((segment) => {
    const selector = selectors[segment]!;
    return selector > 3 && isFault(checkDataSegment(run, vcpu, segment, selector));
  });
  if (bad.length === 0) return;
  for (const segment of bad) selectors[segment] = 0;
  createBounceFrame(run, vcpu, { ...vcpu.failsafe, segments: wanted });
}
