import {
  EFAULT,
  UVMF_ALL,
  UVMF_FLUSHTYPE_MASK,
  UVMF_INVLPG,
  UVMF_LOCAL,
  UVMF_TLB_FLUSH,
} from '@xenolith/xen-abi';
import { isGuestRange } from './guest-array.js';
import type { GuestAccess, PvVcpu } from './interfaces.js';
import type { PvMemory } from './pv-memory.js';

/**
 * Reads a guest's vCPU bitmap as far as its vCPUs go: 0 or −EFAULT. Which vCPUs it names does not matter: one processor
 * runs them all, and its TLB knows pages of all of them.
 */
export function checkVcpuMask(vcpu: PvVcpu, guest: GuestAccess, bitmap: bigint): number {
  const bytes = Math.ceil(vcpu.domain.vcpus.length / 64) * 8;
  return isGuestRange(bitmap) && guest.copyFrom(bitmap, bytes) !== undefined ? 0 : -EFAULT;
}

/** Does what the UVMF_* bits of an `update_va_mapping` ask for; 0 or −EFAULT for an unreadable vCPU bitmap. */
export function flushAsAsked(
  memory: PvMemory,
  vcpu: PvVcpu,
  guest: GuestAccess,
  linear: bigint,
  flags: bigint,
): number {
  const mask = BigInt(UVMF_FLUSHTYPE_MASK);
  const kind = Number(flags & mask);
  if (kind !== UVMF_TLB_FLUSH && kind !== UVMF_INVLPG) return 0;
  const whom = flags & ~mask;
  let rc = 0;
  if (whom !== BigInt(UVMF_LOCAL) && whom !== BigInt(UVMF_ALL)) rc = checkVcpuMask(vcpu, guest, whom);
  if (kind === UVMF_TLB_FLUSH) memory.flushAll();
  else memory.tlb.flushPage(linear);
  return rc;
}
