import {
  XENMEM_decrease_reservation,
  XENMEM_increase_reservation,
  XENMEM_populate_physmap,
  XENMEMF_exact_node_request,
  XENMEMF_populate_on_demand,
  XENMEMF_vnode,
  XenMemoryReservation,
} from '@xenolith/xen-abi';
import { isGuestRange, readU64s, toNumber, writeU64 } from './guest-array.js';
import type { GuestAccess, PvDomain, PvVcpu } from './interfaces.js';
import type { PvMemory } from './pv-memory.js';

/** Bits of the start extent's place in a memory_op command (Xen's MEMOP_EXTENT_SHIFT). */
export const EXTENT_SHIFT = 6;
/** Largest extent of an unprivileged domain: 2^9 frames (CONFIG_DOMU_MAX_ORDER). */
export const MAX_ORDER = 9;
const MAX_EXTENTS = 0xffff_ffff >>> EXTENT_SHIFT;
/** Work of one extent: a frame is cleared. */
const FRAME_WORK = 20;

/** A reservation that passed its checks. */
interface Extents {
  domain: PvDomain;
  list: bigint;
  count: number;
  order: number;
  /** Frames must be below this number. */
  limit: number;
}

/**
 * The frame limit that `mem_flags` asks for (Xen's construct_memop_from_reservation): undefined when it cannot be met or an
 * unprivileged domain may not ask for it.
 */
export function frameLimit(memory: PvMemory, flags: number): number | undefined {
  const frames = memory.machine.frames;
  const bits = flags & 0xff;
  const node = (flags >>> 8) & 0xff;
  if (!(flags & XENMEMF_vnode) && node !== 0 && flags & XENMEMF_exact_node_request) return undefined;
  if (bits === 0 || bits >= Math.ceil(Math.log2(frames)) + 12) return frames;
  return bits <= 12 ? undefined : Math.min(frames, 2 ** (bits - 12));
}

/**
 * XENMEM_increase_reservation, _decrease_reservation and _populate_physmap. Returns how many extents are done, `start`
 * included, whatever stopped it; −ERESTART when it is to be continued.
 */
export function changeReservation(
  memory: PvMemory,
  vcpu: PvVcpu,
  guest: GuestAccess,
  op: number,
  start: number,
  arg: bigint,
): number {
  const bytes = guest.copyFrom(arg, XenMemoryReservation.size);
  if (bytes === undefined) return start;
  const wanted = XenMemoryReservation.at(new DataView(bytes.buffer, bytes.byteOffset));
  const count = toNumber(wanted.nr_extents);
  if (count > MAX_EXTENTS || start >= count) return start;
  const domain = memory.ownDomain(vcpu, wanted.domid);
  const limit = frameLimit(memory, wanted.mem_flags);
  if (domain === undefined || limit === undefined) return start;
  const list = wanted.extent_start;
  const order = wanted.extent_order;
  if (order > MAX_ORDER) return start;
  if ((op !== XENMEM_increase_reservation || list !== 0n) && !isGuestRange(list)) return start;
  // Populate on demand is for others' memory, before they run.
  if (op === XENMEM_populate_physmap && wanted.mem_flags & XENMEMF_populate_on_demand) return start;

  const extents: Extents = { domain, list, count, order, limit };
  const step =
    op === XENMEM_increase_reservation ? increase : op === XENMEM_decrease_reservation ? decrease : populate;
  let done = start;
  for (; done < count; done++) {
    if (done !== start && memory.work.isEnough) {
      return memory.continueWith([BigInt(op) | (BigInt(done) << BigInt(EXTENT_SHIFT)), arg]);
    }
    memory.work.done += FRAME_WORK * 2 ** order;
    if (!step(memory, guest, extents, done)) break;
  }
  return done;
}

const entry = (extents: Extents, index: number): bigint =>
  BigInt.asUintN(64, extents.list + BigInt(index) * 8n);

function allocate(memory: PvMemory, { domain, order, limit }: Extents): number {
  const size = 2 ** order;
  if (domain.dying || domain.totPages + size > domain.maxPages) return -1;
  const first = memory.frames.allocateRun(domain.domid, order, limit);
  if (first >= 0) domain.totPages += size;
  return first;
}

function increase(memory: PvMemory, guest: GuestAccess, extents: Extents, index: number): boolean {
  const first = allocate(memory, extents);
  if (first < 0) return false;
  return extents.list === 0n || writeU64(guest, entry(extents, index), first);
}

function populate(memory: PvMemory, guest: GuestAccess, extents: Extents, index: number): boolean {
  const at = entry(extents, index);
  const pfn = readU64s(guest, at, 1)?.[0];
  if (pfn === undefined) return false;
  const first = allocate(memory, extents);
  if (first < 0) return false;
  memory.setM2pRun(first, pfn, 2 ** extents.order);
  return writeU64(guest, at, first);
}

function decrease(memory: PvMemory, guest: GuestAccess, extents: Extents, index: number): boolean {
  const first = readU64s(guest, entry(extents, index), 1)?.[0];
  if (first === undefined) return false;
  for (let i = 0; i < 2 ** extents.order; i++) {
    const mfn = first + i;
    if (!memory.frames.getPage(mfn, extents.domain.domid)) {
      memory.refused(`decrease_reservation of ${memory.frames.describe(mfn)}`);
      return false;
    }
    memory.frames.dropAllocation(mfn);
    memory.frames.putPage(mfn);
  }
  return true;
}
