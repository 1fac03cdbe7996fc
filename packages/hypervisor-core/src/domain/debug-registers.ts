import { CR4, isGuestAddress } from '../arch/x86.js';
import type { Vcpu } from './vcpu.js';

const HIGH = ~0xffff_ffffn;
const DR6_ONES = 0xffff_0ff0n;
const DR6_ZEROS = 0x1000n;
const DR7_ONES = 0x400n;
const DR7_ZEROS = 0xd800n;
const DR7_ACTIVE = 0xffn;
const DR7_GENERAL_DETECT = 1n << 13n;
const DR_IO = 2n;

/**
 * Sets a virtual debug register (set_debugreg of xen/arch/x86/pv/misc-hypercalls.c). 0: done; `absent`: #UD or ENODEV;
 * `invalid`: reserved bits, EINVAL; `denied`: EPERM. Breakpoints are kept and read back; nothing here triggers them.
 */
export function setDebugRegister(
  vcpu: Vcpu,
  register: number,
  value: bigint,
): 0 | 'absent' | 'invalid' | 'denied' {
  if (register >= 0 && register <= 3) {
    if (!isGuestAddress(value)) return 'denied';
    vcpu.dr[register] = value;
    return 0;
  }
  if (register < 4 || register > 7) return 'absent';
  if (register < 6 && vcpu.cr4 & CR4.de) return 'absent';
  if (value & HIGH) return 'invalid';
  if (register === 4 || register === 6) {
    vcpu.dr6 = (value & ~DR6_ZEROS) | DR6_ONES;
    return 0;
  }
  const dr7 = (value & ~DR7_ZEROS) | DR7_ONES;
  if (value & DR7_GENERAL_DETECT) return 'denied';
  if (dr7 & DR7_ACTIVE && !(vcpu.cr4 & CR4.de)) {
    for (let shift = 16n; shift < 32n; shift += 4n) if (((dr7 >> shift) & 3n) === DR_IO) return 'denied';
  }
  vcpu.dr7 = dr7;
  return 0;
}
