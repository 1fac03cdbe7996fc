import { FrameType } from '@xenolith/mmu/frames';
import { DOMID_IO, EFAULT, EINVAL, EPERM, ERESTART, ESRCH, MmuUpdate } from '@xenolith/xen-abi';
import { Operations, plain, type Row } from '../operations.js';
import { asWords, isGuestRange, readU32, writeU32 } from './guest-array.js';
import type { GuestAccess, PvVcpu } from './interfaces.js';
import type { PvMemory } from './pv-memory.js';

/** In a count: the hypercall is being continued (Xen's MMU_UPDATE_PREEMPTED). */
export const PREEMPTED = 0x8000_0000;

const REQUEST = MmuUpdate.size;
const REQUEST_WORDS = REQUEST / 4;
const PTR = MmuUpdate.offset.ptr / 4;
const VAL = MmuUpdate.offset.val / 4;
/** Requests that are copied from the guest at once. */
const BATCH = 128;

/**
 * `mmu_update`: `count` requests at `requests`; `foreign` holds the frames' domain in its low half and, plus one, the
 * tables' domain in its high half. Stops at the first request that fails. The number done is added to the u32 at `done`
 * (0: not wanted). Returns 0 or a negative errno; −ERESTART see `PvMemory.takeContinuation`.
 */
export function mmuUpdate(
  memory: PvMemory,
  vcpu: PvVcpu,
  guest: GuestAccess,
  requests: bigint,
  count: number,
  done: bigint,
  foreign: number,
): number {
  if (count === PREEMPTED && requests === 0n) return foreign | 0;
  const before = (count & PREEMPTED && done !== 0n && readU32(guest, done)) || 0;
  const total = count & ~PREEMPTED;
  if (!isGuestRange(requests)) return -EFAULT;

  const self = vcpu.domain.domid;
  let tableOwner = self;
  if (foreign >>> 16 !== 0) {
    tableOwner = (foreign >>> 16) - 1;
    if (tableOwner !== self) {
      if (!memory.domains.exists(tableOwner)) return -ESRCH;
      const owner = memory.domains.byId(tableOwner);
      if (owner !== undefined && owner.vcpus[0] === undefined) return finish(-EINVAL, 0);
    }
  }
  const pageOwner = memory.pageOwner(vcpu, foreign & 0xffff);
  if (pageOwner < 0) return finish(pageOwner, 0);

  const call: UpdateCall = {
    memory,
    vcpu,
    guest,
    self,
    tableOwner,
    pageOwner,
    ptrLo: 0,
    ptrHi: 0,
    valLo: 0,
    valHi: 0,
  };
  let rc = 0;
  let i = 0;
  while (i < total && rc === 0) {
    const batch = Math.min(BATCH, total - i);
    // The last page of an array that is not all readable: request by request, as far as it goes.
    let words = copy(guest, requests + BigInt(i * REQUEST), batch);
    let have = batch;
    if (words === undefined) {
      words = copy(guest, requests + BigInt(i * REQUEST), 1);
      have = 1;
    }
    if (words === undefined) {
      rc = -EFAULT;
      break;
    }
    for (let k = 0; k < have; k++) {
      if (i > 0 && memory.work.isEnough) {
        rc = -ERESTART;
        break;
      }
      const at = k * REQUEST_WORDS;
      call.ptrLo = words[at + PTR];
      call.ptrHi = words[at + PTR + 1];
      call.valLo = words[at + VAL];
      call.valHi = words[at + VAL + 1];
      rc = Number(MMU_OPERATIONS.make(call.ptrLo & 7, call, 0n));
      if (rc !== 0) break;
      i++;
    }
  }
  if (rc === -ERESTART) {
    const left = BigInt((total - i + PREEMPTED) >>> 0);
    memory.continueWith([requests + BigInt(i * REQUEST), left, done, BigInt(foreign >>> 0)]);
  }
  flushIfChanged(memory);
  return finish(rc, i);

  function finish(result: number, completed: number): number {
    if (done !== 0n) writeU32(guest, done, before + completed);
    return result;
  }
}

const copy = (guest: GuestAccess, address: bigint, count: number): Uint32Array | undefined => {
  const bytes = guest.copyFrom(address, count * REQUEST);
  return bytes && asWords(bytes);
};

/** After updates of higher tables: what went through the old entries is forgotten, as by Xen's flush of linear tables. */
export function flushIfChanged(memory: PvMemory): void {
  if (!memory.tables.tableChanged) return;
  memory.tables.tableChanged = false;
  memory.flushAll();
}

/** One request of a call. The owners are reused for all requests; entries change with each. */
interface UpdateCall {
  readonly memory: PvMemory;
  readonly vcpu: PvVcpu;
  readonly guest: GuestAccess;
  readonly self: number;
  readonly tableOwner: number;
  readonly pageOwner: number;
  ptrLo: number;
  ptrHi: number;
  valLo: number;
  valHi: number;
}

/** A machine address beyond 2^53 names no frame of ours; the number need not be exact. */
const frameOf = ({ ptrLo, ptrHi }: UpdateCall): number =>
  Math.floor((ptrHi * 2 ** 32 + (ptrLo >>> 0)) / 4096);

/** An unprivileged domain updates its own tables, with its own frames. */
const isAllowed = ({ self, tableOwner, pageOwner }: UpdateCall): boolean =>
  tableOwner === self && (pageOwner === self || pageOwner === DOMID_IO);

const entryUpdate = (keepAd: boolean): Row<UpdateCall> =>
  plain((call) => (isAllowed(call) ? updateEntry(call, frameOf(call), keepAd) : -EPERM));

export const MMU_OPERATIONS = new Operations<UpdateCall, 'MMU_'>('MMU_', {
  NORMAL_PT_UPDATE: entryUpdate(false),
  PT_UPDATE_PRESERVE_AD: entryUpdate(true),
  // A PV domain's addresses are machine addresses: there is nothing to translate.
  PT_UPDATE_NO_TRANSLATE: entryUpdate(false),
  MACHPHYS_UPDATE: plain((call) => {
    const { memory, pageOwner } = call;
    if (!isAllowed(call)) return -EPERM;
    const mfn = frameOf(call);
    if (!memory.frames.getPage(mfn, pageOwner)) return -EINVAL;
    memory.m2p.set(mfn, call.valLo, call.valHi);
    memory.frames.putPage(mfn);
    return 0;
  }),
});

/** Writes 8 bytes at `offset` of a frame: an entry when it is a page table, plain memory when it is writable. */
function updateEntry(call: UpdateCall, mfn: number, keepAd: boolean): number {
  const { memory, tableOwner, pageOwner, valLo, valHi } = call;
  const { frames, tables } = memory;
  if (!frames.getPage(mfn, tableOwner)) {
    memory.refused(`mmu_update of ${frames.describe(mfn)}`);
    return -EINVAL;
  }
  const at = mfn * 1024 + (call.ptrLo & 0xff8) / 4;
  const type = frames.type(mfn);
  let rc = -EINVAL;
  if (frames.isUsedAs(mfn, type) && type !== FrameType.writable) {
    if (type === FrameType.l1) rc = tables.setL1(at, valLo, valHi, pageOwner, keepAd);
    else if (type <= FrameType.l4 && pageOwner === tableOwner) {
      rc = memory.validating(call.vcpu, () => tables.setTable(at, valLo, valHi, type, tableOwner, keepAd));
    }
  } else if (frames.getPageType(mfn, FrameType.writable) === 0) {
    frames.machine.u32[at] = valLo;
    frames.machine.u32[at + 1] = valHi;
    frames.codeWritten(at * 4, 8);
    frames.putPageType(mfn);
    rc = 0;
  }
  frames.putPage(mfn);
  return rc;
}
