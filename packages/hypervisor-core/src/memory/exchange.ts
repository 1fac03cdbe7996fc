import { EFAULT, EINVAL, ENOMEM, EPERM, ESRCH, XENMEM_exchange, XenMemoryExchange } from '@xenolith/xen-abi';
import { isGuestRange, readU64s, toNumber, writeU64 } from './guest-array.js';
import type { GuestAccess, PvDomain, PvVcpu } from './interfaces.js';
import type { PvMemory } from './pv-memory.js';
import { frameLimit, MAX_ORDER } from './reservation.js';

const MAX_U64 = 0xffff_ffff_ffff_ffffn;

/** One side of an exchange, and how many of its extents make one chunk. */
interface Side {
  list: bigint;
  order: number;
  perChunk: number;
}

/**
 * XENMEM_exchange: gives frames back and gets as many others, for example contiguous ones. Works by chunks: the smallest
 * number of whole extents on both sides; a chunk is exchanged altogether or not at all. Returns 0 or a negative errno, and
 * writes the number of exchanged input extents back.
 */
export function exchange(memory: PvMemory, vcpu: PvVcpu, guest: GuestAccess, arg: bigint): number {
  const bytes = guest.copyFrom(arg, XenMemoryExchange.size);
  if (bytes === undefined) return -EFAULT;
  const wanted = XenMemoryExchange.at(new DataView(bytes.buffer, bytes.byteOffset));
  const counter = arg + BigInt(XenMemoryExchange.offset.nr_exchanged);
  const exchanged = wanted.nr_exchanged;
  const finish = (rc: number, count: number): number => (writeU64(guest, counter, count) ? rc : -EFAULT);
  const early = (rc: number): number => finish(rc, toNumber(exchanged));

  const { in: give, out: get } = wanted;
  if (Math.max(give.extent_order, get.extent_order) > MAX_ORDER) return early(-EPERM);
  const giveOrder = BigInt(give.extent_order);
  const getOrder = BigInt(get.extent_order);
  if (
    exchanged > give.nr_extents ||
    give.domid !== get.domid ||
    MAX_U64 >> giveOrder < give.nr_extents ||
    MAX_U64 >> getOrder < get.nr_extents ||
    give.nr_extents << giveOrder !== get.nr_extents << getOrder
  ) {
    return early(-EINVAL);
  }
  if (exchanged === give.nr_extents) return 0;
  if (!isGuestRange(give.extent_start) || !isGuestRange(get.extent_start)) return early(-EFAULT);
  const limit = frameLimit(memory, get.mem_flags);
  if (limit === undefined) return early(-EINVAL);
  const domain = memory.ownDomain(vcpu, give.domid);
  if (domain === undefined) return early(memory.domains.exists(give.domid) ? -EPERM : -ESRCH);

  const inPerChunk = 2 ** Math.max(0, get.extent_order - give.extent_order);
  const outPerChunk = 2 ** Math.max(0, give.extent_order - get.extent_order);
  const from: Side = { list: give.extent_start, order: give.extent_order, perChunk: inPerChunk };
  const to: Side = { list: get.extent_start, order: get.extent_order, perChunk: outPerChunk };
  const first = Math.floor(toNumber(exchanged) / inPerChunk);
  const chunks = Math.floor(toNumber(give.nr_extents) / inPerChunk);
  for (let chunk = first; chunk < chunks; chunk++) {
    if (chunk !== first && memory.work.isEnough) {
      if (!writeU64(guest, counter, chunk * inPerChunk)) return -EFAULT;
      return memory.continueWith([BigInt(XENMEM_exchange), arg]);
    }
    const rc = exchangeChunk(memory, guest, domain, from, to, chunk, limit);
    if (rc !== 0) return finish(rc, chunk * inPerChunk);
  }
  return finish(0, toNumber(give.nr_extents));
}

const entry = (side: Side, chunk: number, index: number): bigint =>
  BigInt.asUintN(64, side.list + BigInt(chunk * side.perChunk + index) * 8n);

function exchangeChunk(
  memory: PvMemory,
  guest: GuestAccess,
  domain: PvDomain,
  from: Side,
  to: Side,
  chunk: number,
  limit: number,
): number {
  const { frames } = memory;
  const self = domain.domid;
  memory.work.done += 40 * from.perChunk * 2 ** from.order;

  const stolen: number[] = [];
  const giveBack = (rc: number): number => {
    for (const mfn of stolen) frames.reassign(mfn, self);
    return rc;
  };
  for (let j = 0; j < from.perChunk; j++) {
    const first = readU64s(guest, entry(from, chunk, j), 1)?.[0];
    if (first === undefined) return giveBack(-EFAULT);
    for (let k = 0; k < 2 ** from.order; k++) {
      if (!frames.steal(first + k, self)) {
        memory.refused(`exchange of ${frames.describe(first + k)}`);
        return giveBack(-EINVAL);
      }
      stolen.push(first + k);
    }
  }

  const taken: number[] = [];
  for (let j = 0; j < to.perChunk; j++) {
    const first = frames.allocateRun(self, to.order, limit);
    if (first < 0) {
      for (const start of taken) {
        for (let k = 0; k < 2 ** to.order; k++) {
          frames.steal(start + k, self);
          frames.discard(start + k);
        }
      }
      return giveBack(-ENOMEM);
    }
    taken.push(first);
  }

  for (const mfn of stolen) {
    memory.m2p.clear(mfn);
    frames.discard(mfn);
  }
  let rc = 0;
  for (let j = 0; j < taken.length; j++) {
    const at = entry(to, chunk, j);
    const pfn = readU64s(guest, at, 1)?.[0];
    if (pfn === undefined) {
      rc = -EFAULT;
      continue;
    }
    memory.setM2pRun(taken[j], pfn, 2 ** to.order);
    if (!writeU64(guest, at, taken[j])) rc = -EFAULT;
  }
  return rc;
}
