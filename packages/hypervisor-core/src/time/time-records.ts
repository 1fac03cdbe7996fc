import type { MachineMemory } from '@xenolith/mmu';
import { SharedInfo, VcpuInfo, VcpuTimeInfo } from '@xenolith/xen-abi';
import type { Domain } from '../domain/domain.js';
import type { Vcpu } from '../domain/vcpu.js';
import type { CurrentGuestAccess } from '../guest-access.js';

/** The guest's TSC counts nanoseconds of system time. */
export const TSC_KHZ = 1_000_000;
/** ns = (ticks << TSC_SHIFT) × TSC_MULTIPLIER ÷ 2³², exactly one each. */
export const TSC_MULTIPLIER = 0x8000_0000;
export const TSC_SHIFT = 1;

const NS_PER_SECOND = 1_000_000_000n;

/** Fills all of a `vcpu_time_info` but its version. */
function fill(view: DataView, at: number, now: number): void {
  const record = VcpuTimeInfo.at(view, at);
  record.tsc_timestamp = BigInt(now);
  record.system_time = BigInt(now);
  record.tsc_to_system_mul = TSC_MULTIPLIER;
  record.tsc_shift = TSC_SHIFT;
  record.flags = 0;
}

/** Writes the vCPU's time record: the version is odd meanwhile. */
export function updateTimeRecord(machine: MachineMemory, vcpu: Vcpu, now: number): void {
  if (vcpu.vcpuInfo === 0) return;
  const at = vcpu.vcpuInfo + VcpuInfo.offset.time;
  const version = machine.view.getUint32(at, true);
  const begin = ((version + 1) | 1) >>> 0;
  machine.view.setUint32(at, begin, true);
  fill(machine.view, at, now);
  machine.view.setUint32(at, (begin + 1) >>> 0, true);
  vcpu.timeAreaStale = vcpu.timeArea !== 0n;
}

/** Brings the area that the guest registered up to date; the kernel's page tables must be loaded. */
export function updateTimeArea(machine: MachineMemory, access: CurrentGuestAccess, vcpu: Vcpu): void {
  vcpu.timeAreaStale = false;
  copyTimeArea(machine, access, vcpu);
}

/** Copies the time record to its area in the address space that is in force. */
export function copyTimeArea(machine: MachineMemory, access: CurrentGuestAccess, vcpu: Vcpu): void {
  if (vcpu.timeArea === 0n || vcpu.vcpuInfo === 0) return;
  const at = vcpu.vcpuInfo + VcpuInfo.offset.time;
  access.copyTo(vcpu.timeArea, machine.bytes.slice(at, at + VcpuTimeInfo.size));
}

/** Wall clock at system time 0, in shared_info. @param wallclockNs nanoseconds since 1970 at system time 0 */
export function updateWallclock(machine: MachineMemory, domain: Domain, wallclockNs: bigint): void {
  const info = SharedInfo.at(machine.view, domain.sharedInfo * 4096);
  const begin = ((info.wc_version + 1) | 1) >>> 0;
  info.wc_version = begin;
  const seconds = wallclockNs / NS_PER_SECOND + BigInt(domain.timeOffset);
  info.wc_sec = Number(seconds & 0xffff_ffffn);
  info.wc_sec_hi = Number((seconds >> 32n) & 0xffff_ffffn);
  info.wc_nsec = Number(wallclockNs % NS_PER_SECOND);
  info.wc_version = (begin + 1) >>> 0;
}
