import type { Processor } from '@xenolith/cpu-emulator';
import type { Logger, TraceSink } from '@xenolith/host-interface';
import type { CurrentGuestAccess } from '../guest-access.js';
import type { PvMemory } from '../memory/pv-memory.js';
import type { AddressSpaces } from './address-spaces.js';
import type { Vcpu } from './vcpu.js';
import type { VcpuInfoFields } from './vcpu-info.js';

/** What code that acts on the running vCPU needs: its registers are in `cpu.regs`, its memory behind `access`. */
export interface Running {
  readonly cpu: Processor;
  readonly memory: PvMemory;
  readonly access: CurrentGuestAccess;
  /** A frame of the hypervisor for short use. */
  readonly scratchFrame: number;
  readonly spaces: AddressSpaces;
  readonly info: VcpuInfoFields;
  readonly trace: TraceSink;
  readonly log: Logger;
}

/** Switches the running vCPU between kernel and user mode: the other L4 table, the other GS base. */
export function toggleGuestMode(run: Running, vcpu: Vcpu): void {
  const { regs } = run.cpu;
  if (vcpu.kernelMode) {
    vcpu.gsBaseKernel = regs.gsBase;
    regs.gsBase = vcpu.gsBaseUser;
  } else {
    vcpu.gsBaseUser = regs.gsBase;
    regs.gsBase = vcpu.gsBaseKernel;
  }
  vcpu.kernelMode = !vcpu.kernelMode;
  run.spaces.activate(vcpu);
}
