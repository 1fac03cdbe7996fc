import { PAGE_SIZE } from '@xenolith/mmu';
import { FrameType } from '@xenolith/mmu/frames';
import {
  EACCES,
  EFAULT,
  EINVAL,
  ENOSYS,
  EOPNOTSUPP,
  EPERM,
  MMUEXT_CLEAR_PAGE,
  MMUEXT_COPY_PAGE,
  MMUEXT_FLUSH_CACHE,
  MMUEXT_FLUSH_CACHE_GLOBAL,
  MMUEXT_INVLPG_ALL,
  MMUEXT_INVLPG_LOCAL,
  MMUEXT_INVLPG_MULTI,
  MMUEXT_MARK_SUPER,
  MMUEXT_NEW_BASEPTR,
  MMUEXT_NEW_USER_BASEPTR,
  MMUEXT_PIN_L1_TABLE,
  MMUEXT_PIN_L2_TABLE,
  MMUEXT_PIN_L3_TABLE,
  MMUEXT_PIN_L4_TABLE,
  MMUEXT_SET_LDT,
  MMUEXT_TLB_FLUSH_ALL,
  MMUEXT_TLB_FLUSH_LOCAL,
  MMUEXT_TLB_FLUSH_MULTI,
  MMUEXT_UNMARK_SUPER,
  MMUEXT_UNPIN_TABLE,
  MmuextOp,
} from '@xenolith/xen-abi';
import { checkVcpuMask } from './flush.js';
import { asWords, isGuestRange, readU32, writeU32 } from './guest-array.js';
import type { GuestAccess, PvVcpu } from './interfaces.js';
import { setLdt } from './ldt.js';
import { PREEMPTED } from './mmu-update.js';
import type { PvMemory } from './pv-memory.js';

const SIZE = MmuextOp.size;
const CMD = MmuextOp.offset.cmd / 4;
const ARG1 = MmuextOp.offset.arg1 / 4;
const ARG2 = MmuextOp.offset.arg2 / 4;

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

  memory.startWork();
  let rc = 0;
  let i = 0;
  for (; i < total; i++) {
    const address = operations + BigInt(i * SIZE);
    if (i > 0 && memory.worksTooLong) {
      const left = BigInt((total - i + PREEMPTED) >>> 0);
      rc = memory.continueWith([address, left, done, BigInt(foreign >>> 0)]);
      break;
    }
    const bytes = guest.copyFrom(address, SIZE);
    if (bytes === undefined) {
      rc = -EFAULT;
      break;
    }
    memory.tables.work++;
    rc = oneOperation(memory, vcpu, guest, decode(asWords(bytes)));
    if (rc !== 0) break;
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

function oneOperation(memory: PvMemory, vcpu: PvVcpu, guest: GuestAccess, op: Operation): number {
  const self = vcpu.domain.domid;
  switch (op.cmd) {
    case MMUEXT_PIN_L1_TABLE:
    case MMUEXT_PIN_L2_TABLE:
    case MMUEXT_PIN_L3_TABLE:
    case MMUEXT_PIN_L4_TABLE: {
      const level = (op.cmd - MMUEXT_PIN_L1_TABLE + 1) as FrameType;
      return memory.pin(op.arg1, self, level);
    }
    case MMUEXT_UNPIN_TABLE:
      return memory.unpin(op.arg1, self);
    case MMUEXT_NEW_BASEPTR:
      // Frame 0 is nobody's: no guest may run without tables.
      return op.arg1 === 0 ? -EINVAL : memory.setBase(vcpu, op.arg1);
    case MMUEXT_NEW_USER_BASEPTR:
      return memory.setUserBase(vcpu, op.arg1);
    case MMUEXT_TLB_FLUSH_LOCAL:
    case MMUEXT_TLB_FLUSH_ALL:
      memory.flushAll();
      return 0;
    case MMUEXT_INVLPG_LOCAL:
    case MMUEXT_INVLPG_ALL:
      memory.tlb.flushPage(join(op.arg1Lo, op.arg1Hi));
      return 0;
    case MMUEXT_TLB_FLUSH_MULTI:
    case MMUEXT_INVLPG_MULTI:
      if (checkVcpuMask(vcpu, guest, join(op.arg2Lo, op.arg2Hi)) !== 0) return -EINVAL;
      if (op.cmd === MMUEXT_TLB_FLUSH_MULTI) memory.flushAll();
      else memory.tlb.flushPage(join(op.arg1Lo, op.arg1Hi));
      return 0;
    case MMUEXT_FLUSH_CACHE:
      return -EACCES; // without a device there is nothing to be coherent with
    case MMUEXT_FLUSH_CACHE_GLOBAL:
      return -EINVAL;
    case MMUEXT_SET_LDT:
      return setLdt(memory, vcpu, join(op.arg1Lo, op.arg1Hi), op.arg2Lo);
    case MMUEXT_CLEAR_PAGE:
      return clearPage(memory, self, op.arg1);
    case MMUEXT_COPY_PAGE:
      return copyPage(memory, self, op.arg1, op.arg2);
    case MMUEXT_MARK_SUPER:
    case MMUEXT_UNMARK_SUPER:
      return -EOPNOTSUPP;
    default:
      return -ENOSYS;
  }
}

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
