import { PAGE_SIZE } from '@xenolith/mmu';
import { FrameType } from '@xenolith/mmu/frames';
import { EACCES, EFAULT, EINVAL, EOPNOTSUPP, EPERM, ERESTART, MmuextOp } from '@xenolith/xen-abi';
import { Operations, plain, type Row, refused } from '../operations.js';
import { checkVcpuMask } from './flush.js';
import { isGuestRange, readU32, writeU32 } from './guest-array.js';
import type { GuestAccess, PvVcpu } from './interfaces.js';
import { setLdt } from './ldt.js';
import { PREEMPTED } from './mmu-update.js';
import type { PvMemory } from './pv-memory.js';

const SIZE = MmuextOp.size;
const CMD = MmuextOp.offset.cmd / 4;
const ARG1 = MmuextOp.offset.arg1 / 4;
const ARG2 = MmuextOp.offset.arg2 / 4;

/** The operation that is being done, as the guest has it: one is decoded before the next is copied. */
const copied = new Uint8Array(SIZE);
const words = new Uint32Array(copied.buffer);

/** One operation, copied from the guest. Frame numbers beyond every machine's stay beyond (they need not be exact). */
interface Operation {
  cmd: number;
  arg1: number;
  arg1Lo: number;
  arg1Hi: number;
  arg2: number;
  arg2Lo: number;
  arg2Hi: number;
}

const join = (lo: number, hi: number): bigint => (BigInt(hi) << 32n) | BigInt(lo);

/**
 * `mmuext_op`: `count` operations at `operations`, on frames of `foreign` (DOMID_SELF for an unprivileged domain). Stops
 * at the first that fails. The number done is added to the u32 at `done` (0: not wanted). Returns 0 or a negative errno;
 * −ERESTART see `PvMemory.takeContinuation`.
 */
export function mmuextOp(
  memory: PvMemory,
  vcpu: PvVcpu,
  guest: GuestAccess,
  operations: bigint,
  count: number,
  done: bigint,
  foreign: number,
): number {
  if (count === PREEMPTED && operations === 0n) return foreign | 0;
  const before = (count & PREEMPTED && done !== 0n && readU32(guest, done)) || 0;
  const total = count & ~PREEMPTED;
  if (!isGuestRange(operations)) return -EFAULT;
  const owner = memory.pageOwner(vcpu, foreign & 0xffff);
  if (owner < 0) return owner;
  if (owner !== vcpu.domain.domid) return -EPERM;

  let rc = 0;
  let i = 0;
  for (; i < total; i++) {
    const address = operations + BigInt(i * SIZE);
    if (i > 0 && memory.work.isEnough) {
      rc = -ERESTART;
      break;
    }
    if (!guest.copyInto(address, copied)) {
      rc = -EFAULT;
      break;
    }
    memory.work.done++;
    const op = decode(words);
    rc = Number(MMUEXT_OPERATIONS.make(op.cmd, { memory, vcpu, guest, op }, address));
    if (rc !== 0) break;
  }
  if (rc === -ERESTART) {
    const left = BigInt((total - i + PREEMPTED) >>> 0);
    memory.continueWith([operations + BigInt(i * SIZE), left, done, BigInt(foreign >>> 0)]);
  }
  if (done !== 0n) writeU32(guest, done, before + i);
  return rc;
}

function decode(words: Uint32Array): Operation {
  return {
    cmd: words[CMD],
    arg1Lo: words[ARG1],
    arg1Hi: words[ARG1 + 1],
    arg1: words[ARG1 + 1] * 2 ** 32 + words[ARG1],
    arg2Lo: words[ARG2],
    arg2Hi: words[ARG2 + 1],
    arg2: words[ARG2 + 1] * 2 ** 32 + words[ARG2],
  };
}

/** One operation of a call, on frames of the caller. */
interface MmuextCall {
  readonly memory: PvMemory;
  readonly vcpu: PvVcpu;
  readonly guest: GuestAccess;
  readonly op: Operation;
}

const pin = (level: FrameType): Row<MmuextCall> =>
  plain(({ memory, vcpu, op }) => memory.pin(vcpu, op.arg1, level));

const flushAll: Row<MmuextCall> = plain(({ memory }) => {
  memory.flushAll();
  return 0;
});

const flushPage: Row<MmuextCall> = plain(({ memory, op }) => {
  memory.tlb.flushPage(join(op.arg1Lo, op.arg1Hi));
  return 0;
});

/** On the vCPUs of a bitmap: one processor runs them all. */
const ofVcpus = ({ handler }: Row<MmuextCall>): Row<MmuextCall> =>
  plain((call, arg) => {
    const { vcpu, guest, op } = call;
    return checkVcpuMask(vcpu, guest, join(op.arg2Lo, op.arg2Hi)) === 0 ? handler(call, arg) : -EINVAL;
  });

export const MMUEXT_OPERATIONS = new Operations<MmuextCall, 'MMUEXT_'>('MMUEXT_', {
  PIN_L1_TABLE: pin(FrameType.l1),
  PIN_L2_TABLE: pin(FrameType.l2),
  PIN_L3_TABLE: pin(FrameType.l3),
  PIN_L4_TABLE: pin(FrameType.l4),
  UNPIN_TABLE: plain(({ memory, vcpu, op }) => memory.unpin(op.arg1, vcpu.domain.domid)),
  // Frame 0 is nobody's: no guest may run without tables.
  NEW_BASEPTR: plain(({ memory, vcpu, op }) => (op.arg1 === 0 ? -EINVAL : memory.setBase(vcpu, op.arg1))),
  NEW_USER_BASEPTR: plain(({ memory, vcpu, op }) => memory.setUserBase(vcpu, op.arg1)),
  TLB_FLUSH_LOCAL: flushAll,
  TLB_FLUSH_ALL: flushAll,
  TLB_FLUSH_MULTI: ofVcpus(flushAll),
  INVLPG_LOCAL: flushPage,
  INVLPG_ALL: flushPage,
  INVLPG_MULTI: ofVcpus(flushPage),
  // Without a device there is nothing to be coherent with.
  FLUSH_CACHE: refused(EACCES, 'domU'),
  FLUSH_CACHE_GLOBAL: refused(EINVAL, 'domU'),
  SET_LDT: plain(({ memory, vcpu, op }) => setLdt(memory, vcpu, join(op.arg1Lo, op.arg1Hi), op.arg2Lo)),
  CLEAR_PAGE: plain(({ memory, vcpu, op }) => clearPage(memory, vcpu.domain.domid, op.arg1)),
  COPY_PAGE: plain(({ memory, vcpu, op }) => copyPage(memory, vcpu.domain.domid, op.arg1, op.arg2)),
  MARK_SUPER: refused(EOPNOTSUPP, 'everybody'),
  UNMARK_SUPER: refused(EOPNOTSUPP, 'everybody'),
});

function clearPage(memory: PvMemory, self: number, mfn: number): number {
  const { frames } = memory;
  if (frames.getPageAndType(mfn, self, FrameType.writable) !== 0) return -EINVAL;
  frames.zero(mfn);
  frames.putPageAndType(mfn);
  return 0;
}

function copyPage(memory: PvMemory, self: number, to: number, from: number): number {
  const { frames } = memory;
  if (!frames.getPage(from, self)) return -EINVAL;
  const rc = frames.getPageAndType(to, self, FrameType.writable);
  if (rc === 0) {
    frames.machine.bytes.copyWithin(to * PAGE_SIZE, from * PAGE_SIZE, (from + 1) * PAGE_SIZE);
    frames.codeWritten(to * PAGE_SIZE, PAGE_SIZE);
    frames.putPageAndType(to);
  }
  frames.putPage(from);
  return rc === 0 ? 0 : -EINVAL;
}
