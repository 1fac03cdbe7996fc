import {
  XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD,
  XEN_CPUID_FIRST_LEAF,
  XEN_CPUID_SIGNATURE_EBX,
  XEN_CPUID_SIGNATURE_ECX,
  XEN_CPUID_SIGNATURE_EDX,
} from '@xenolith/xen-abi';
import type { Running } from '../domain/running.js';
import { TSC_KHZ, TSC_MULTIPLIER, TSC_SHIFT } from '../time/time-records.js';
import { XEN_VERSION } from '../version.js';
import { BASIC_LEAVES, type CpuidLeaf, XEN_LAST_LEAF } from './policy.js';

const ZEROS: CpuidLeaf = [0, 0, 0, 0];

/** CPUID as a PV guest gets it, whether it traps, is forced, or runs in user mode. */
export function guestCpuid(run: Pick<Running, 'memory'>, leaf: number, subleaf: number): CpuidLeaf {
  if (leaf >= XEN_CPUID_FIRST_LEAF && leaf <= XEN_CPUID_FIRST_LEAF + 0x1ff)
    return xenLeaf(run, leaf, subleaf);
  if (leaf === 7 && subleaf !== 0) return ZEROS;
  return BASIC_LEAVES.get(leaf) ?? ZEROS;
}

/** Xen's own leaves (xen/include/public/arch-x86/cpuid.h). */
function xenLeaf(run: Pick<Running, 'memory'>, leaf: number, subleaf: number): CpuidLeaf {
  switch (leaf - XEN_CPUID_FIRST_LEAF) {
    case 0:
      return [XEN_LAST_LEAF, XEN_CPUID_SIGNATURE_EBX, XEN_CPUID_SIGNATURE_ECX, XEN_CPUID_SIGNATURE_EDX];
    case 1:
      return [(XEN_VERSION.major << 16) | XEN_VERSION.minor, 0, 0, 0];
    case 2:
      return [1, XEN_CPUID_FIRST_LEAF, XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD, 0];
    case 3:
      if (subleaf === 0) return [1 << 2, 0, TSC_KHZ, 0];
      if (subleaf === 1) return [0, 0, TSC_MULTIPLIER, TSC_SHIFT];
      return subleaf === 2 ? [TSC_KHZ, 0, 0, 0] : ZEROS;
    case 5:
      return subleaf === 0 ? [0, 32 - Math.clz32(run.memory.machine.frames) + 12, 0, 0] : ZEROS;
    default:
      return ZEROS;
  }
}
