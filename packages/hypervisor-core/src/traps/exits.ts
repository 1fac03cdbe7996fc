import { Exit, type ExitKind } from '@xenolith/cpu-emulator';
import type { Vcpu } from '../domain/vcpu.js';
import { handleHypercall } from '../hypercalls/dispatch.js';
import type { Hypervisor } from '../hypervisor.js';
import { handleException, handleSoftwareInterrupt } from './exceptions.js';
import { handlePrivileged } from './privileged.js';
import { bounceSyscall, enterBySyscall } from './syscall.js';

/** Does what the processor stopped for. Returns the instructions that the hypervisor retired in the guest's place. */
export function handleExit(hv: Hypervisor, vcpu: Vcpu, exit: ExitKind): number {
  const { cpu } = hv;
  switch (exit) {
    case Exit.exception:
      handleException(hv, vcpu, cpu.vector, cpu.errorCode, cpu.cr2);
      return 0;
    case Exit.softwareInterrupt:
      handleSoftwareInterrupt(hv, vcpu, cpu.vector, cpu.length);
      return 1;
    case Exit.syscall: {
      const { length } = cpu;
      enterBySyscall(hv, vcpu, length);
      if (vcpu.kernelMode) handleHypercall(hv, vcpu, length);
      else bounceSyscall(hv, vcpu, length);
      return 1;
    }
    case Exit.privileged:
      handlePrivileged(hv, vcpu, cpu.privileged, cpu.length);
      return 1;
    case Exit.pause:
      if (hv.scheduler.waiting) hv.yieldVcpu();
      return 0;
    default:
      return 0;
  }
}
