import { FrameType } from '@xenolith/mmu/frames';
import { EINVAL, EPERM } from '@xenolith/xen-abi';
import { flushAsAsked } from './flush.js';
import type { GuestAccess, PvVcpu } from './interfaces.js';
import type { PvMemory } from './pv-memory.js';
import { findL1Entry } from './walk.js';

/**
 * `update_va_mapping`: writes the L1 entry of a linear address under the current root table, then flushes as the UVMF_*
 * flags say. Returns 0, −EINVAL when no validated L1 table has that entry, or the error of the new entry.
 */
export function updateVaMapping(
  memory: PvMemory,
  vcpu: PvVcpu,
  guest: GuestAccess,
  linear: bigint,
  value: bigint,
  flags: bigint,
): number {
  const { frames, tables } = memory;
  const self = vcpu.domain.domid;
  const root = vcpu.kernelMode ? vcpu.guestTable : vcpu.guestTableUser;
  const at = findL1Entry(memory, root, linear);
  if (at < 0) return -EINVAL;
  const table = at >>> 10;
  // Through a linear page table the "L1 entry" may be an entry of a higher table.
  if (frames.owner(table) !== self || !frames.isUsedAs(table, FrameType.l1)) return -EINVAL;
  const lo = Number(value & 0xffff_ffffn);
  const rc = tables.setL1(at, lo, Number(value >> 32n), self, false);
  return rc !== 0 ? rc : flushAsAsked(memory, vcpu, guest, linear, flags);
}

/** `update_va_mapping_otherdomain`: nothing that an unprivileged domain may do, but to name itself as DOMID_SELF. */
export function updateVaMappingOtherDomain(
  memory: PvMemory,
  vcpu: PvVcpu,
  guest: GuestAccess,
  linear: bigint,
  value: bigint,
  flags: bigint,
  domid: number,
): number {
  const owner = memory.pageOwner(vcpu, domid);
  if (owner < 0) return owner;
  if (owner !== vcpu.domain.domid) return -EPERM;
  return updateVaMapping(memory, vcpu, guest, linear, value, flags);
}
