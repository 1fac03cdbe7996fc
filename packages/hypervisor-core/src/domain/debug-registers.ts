import type { Processor } from '@xenolith/cpu-emulator';
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
 * `invalid`: reserved bits, EINVAL; `denied`: EPERM. `loadBreakpoints` must follow for the vCPU in the processor.
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

/** Bits of DR7 that enable a breakpoint on a port; Xen keeps these for the instructions that it emulates. */
function portEnables(vcpu: Vcpu): number {
  const dr7 = Number(vcpu.dr7);
  let bits = 0;
  for (let n = 0; n < 4; n++) if (((dr7 >> (16 + 4 * n)) & 3) === Number(DR_IO)) bits |= dr7 & (3 << (2 * n));
  return bits;
}

/** Tells the processor of the breakpoints of the vCPU that is in it. */
export function loadBreakpoints(cpu: Processor, vcpu: Vcpu): void {
  cpu.setBreakpoints(vcpu.dr, Number(vcpu.dr7) & ~portEnables(vcpu));
}

/** The processor has breakpoints to look for while this vCPU runs. */
export const hasBreakpoints = (vcpu: Vcpu): boolean =>
  (vcpu.dr7 & DR7_ACTIVE) !== 0n && (Number(vcpu.dr7 & DR7_ACTIVE) & ~portEnables(vcpu)) !== 0;

/** Bytes of a breakpoint by LEN in DR7. */
const LENGTHS = [1, 2, 8, 4] as const;

/** Bits of DR6 for breakpoints on a port that was read or written (check_guest_io_breakpoint of emul-priv-op.c). */
export function portBreakpoints(vcpu: Vcpu, port: number, size: number): bigint {
  const enabled = portEnables(vcpu);
  if (enabled === 0 || !(vcpu.cr4 & CR4.de)) return 0n;
  let met = 0n;
  for (let n = 0; n < 4; n++) {
    if (!(enabled & (3 << (2 * n)))) continue;
    const length = BigInt(LENGTHS[(Number(vcpu.dr7) >> (18 + 4 * n)) & 3]!);
    const start = vcpu.dr[n]! & -length;
    if (start < BigInt(port + size) && start + length > BigInt(port)) met |= 1n << BigInt(n);
  }
  return met;
}
