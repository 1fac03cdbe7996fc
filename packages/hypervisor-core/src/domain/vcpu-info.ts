import type { MachineMemory } from '@xenolith/mmu';
import { ArchVcpuInfo, VcpuInfo } from '@xenolith/xen-abi';
import type { Vcpu } from './vcpu.js';

const PENDING = VcpuInfo.offset.evtchn_upcall_pending;
const MASK = VcpuInfo.offset.evtchn_upcall_mask;
const CR2 = VcpuInfo.offset.arch + ArchVcpuInfo.offset.cr2;

/** The fields of `vcpu_info` that the hypervisor reads and writes all the time. A vCPU without one has events masked. */
export class VcpuInfoFields {
  constructor(private readonly machine: MachineMemory) {}

  /** The whole byte: guests may put any value into it, zero means "not masked". */
  upcallMask(vcpu: Vcpu): number {
    return vcpu.vcpuInfo === 0 ? 1 : this.machine.bytes[vcpu.vcpuInfo + MASK]!;
  }

  setUpcallMask(vcpu: Vcpu, mask: number): void {
    if (vcpu.vcpuInfo !== 0) this.machine.bytes[vcpu.vcpuInfo + MASK] = mask;
  }

  /** An event waits and may be delivered. */
  mustDeliver(vcpu: Vcpu): boolean {
    const at = vcpu.vcpuInfo;
    return at !== 0 && this.machine.bytes[at + PENDING] !== 0 && this.machine.bytes[at + MASK] === 0;
  }

  setPending(vcpu: Vcpu): void {
    if (vcpu.vcpuInfo !== 0) this.machine.bytes[vcpu.vcpuInfo + PENDING] = 1;
  }

  setCr2(vcpu: Vcpu, address: bigint): void {
    if (vcpu.vcpuInfo !== 0) this.machine.view.setBigUint64(vcpu.vcpuInfo + CR2, address, true);
  }
}
