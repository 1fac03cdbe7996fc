import {
  EFAULT,
  EINVAL,
  ENOSYS,
  type Fields,
  GNTCOPY_dest_gref,
  GNTCOPY_source_gref,
  GNTST_bad_virt_addr,
  GNTST_okay,
  GNTTABOP_cache_flush,
  GnttabCacheFlush,
  GnttabCopy,
  GnttabGetStatusFrames,
  GnttabGetVersion,
  GnttabMapGrantRef,
  GnttabQuerySize,
  GnttabSetupTable,
  GnttabSetVersion,
  GnttabSwapGrantRef,
  GnttabTransfer,
  GnttabUnmapAndReplace,
  GnttabUnmapGrantRef,
  type Layout,
} from '@xenolith/xen-abi';
import { isGuestRange } from '../memory/guest-array.js';
import { type Accessed, Operations, plain, type Row, refused, structReader } from '../operations.js';
import { type Call, u32, u64 } from './call.js';

/** A continuation of cache_flush carries a grant reference above the command (GNTTABOP_CONTINUATION_ARG_SHIFT). */
const COMMAND_MASK = 0xfff;

/** Work of one structure: a mapping, or a copy of a page at most. */
const ELEMENT_WORK = 50;

/** A call of grant_table_op, with `count` structures. */
interface GrantCall extends Call {
  readonly count: number;
}

/**
 * An operation on an array: each element is copied in, worked on, and its answer copied out. A long array is stopped in
 * between and gone on with later. `work` ends the hypercall when it returns anything but 0.
 * @param answer what is copied out: all of the element, its status only (a grant copy may have changed the rest), nothing
 */
const each = <F extends Fields>(
  layout: Layout<F>,
  answer: 'all' | 'status' | 'none',
  work: (call: GrantCall, op: Accessed<F>) => number,
): Row<GrantCall> => {
  const { size } = layout;
  const offset: Record<string, number> = layout.offset;
  const read = structReader(layout);
  const [start, end] = answer === 'status' ? [offset.status, offset.status + 2] : [0, size];
  const handler = (call: GrantCall, at: bigint): number => {
    const { count, guest } = call;
    const { memory } = call.hv;
    if (!isGuestRange(at)) return -EFAULT;
    for (let i = 0; i < count; i++) {
      const address = BigInt.asUintN(64, at + BigInt(i * size));
      if (i > 0 && memory.work.isEnough)
        return memory.continueWith([BigInt(u32(call, 0) & COMMAND_MASK), address, BigInt(count - i)]);
      memory.work.done += ELEMENT_WORK;
      const op = read(guest, address);
      if (!op) return -EFAULT;
      const rc = work(call, op);
      if (rc !== 0) return rc;
      if (answer === 'none') continue;
      const bytes = new Uint8Array(op.$view.buffer, start, end - start);
      if (!guest.copyTo(address + BigInt(start), bytes)) return -EFAULT;
    }
    return 0;
  };
  return { argument: layout, preemptible: true, handler };
};

/** An operation on one structure: the count must be 1. */
const one = ({ handler, ...row }: Row<GrantCall>): Row<GrantCall> => ({
  ...row,
  preemptible: false,
  handler: (call, at) => (call.count === 1 ? handler(call, at) : -EINVAL),
});

/** Flushes the TLB, also when it failed in between: page-table entries are gone, under whatever address they were. */
const flushing = ({ handler, ...row }: Row<GrantCall>): Row<GrantCall> => ({
  ...row,
  handler(call, at) {
    const rc = handler(call, at);
    call.hv.memory.flushAll();
    return rc;
  },
});

/** grant_table_op: the arguments of `GrantTables`, which has the rules. */
export const GRANT_OPERATIONS = new Operations<GrantCall, 'GNTTABOP_'>('GNTTABOP_', {
  map_grant_ref: each(GnttabMapGrantRef, 'all', ({ domain, hv, vcpu }, op) => {
    const { host_addr: hostAddr, flags, ref, dom } = op;
    const done = hv.grants.map(domain.domid, vcpu.vcpuId, { hostAddr, flags, ref, dom });
    op.status = done.status;
    if (done.status !== GNTST_okay) return 0;
    op.handle = done.handle;
    op.dev_bus_addr = done.devBusAddr;
    return 0;
  }),
  unmap_grant_ref: flushing(
    each(GnttabUnmapGrantRef, 'status', ({ domain, hv }, op) => {
      const { host_addr: hostAddr, dev_bus_addr: devBusAddr, handle } = op;
      op.status = hv.grants.unmap(domain.domid, { hostAddr, devBusAddr, handle });
      return 0;
    }),
  ),
  unmap_and_replace: flushing(
    each(GnttabUnmapAndReplace, 'status', ({ domain, hv }, op) => {
      const { host_addr: hostAddr, new_addr: newAddr, handle } = op;
      op.status = hv.grants.unmap(domain.domid, { hostAddr, devBusAddr: 0n, handle, newAddr });
      return 0;
    }),
  ),
  setup_table: one(
    each(GnttabSetupTable, 'status', (call, op) => {
      if (!isGuestRange(op.frame_list)) return -EFAULT;
      const table = call.hv.grants.setupTable(call.domain.domid, op.dom, op.nr_frames);
      op.status = listFrames(call, op.frame_list, table);
      return 0;
    }),
  ),
  transfer: each(GnttabTransfer, 'status', ({ domain, hv }, op) => {
    const { mfn, domid, ref } = op;
    op.status = hv.grants.transfer(domain.domid, { frame: Number(mfn), domid, ref });
    return 0;
  }),
  copy: each(GnttabCopy, 'status', ({ domain, hv }, op) => {
    op.status = hv.grants.copy(domain.domid, {
      source: pointer(op.source, (op.flags & GNTCOPY_source_gref) !== 0),
      dest: pointer(op.dest, (op.flags & GNTCOPY_dest_gref) !== 0),
      length: op.len,
      flags: op.flags,
    });
    return 0;
  }),
  query_size: one(
    each(GnttabQuerySize, 'all', ({ domain, hv }, op) => {
      const size = hv.grants.querySize(domain.domid, op.dom);
      op.status = size.status;
      if (size.status !== GNTST_okay) return 0;
      op.nr_frames = size.frames;
      op.max_nr_frames = size.maxFrames;
      return 0;
    }),
  ),
  set_version: plain(setVersion, GnttabSetVersion),
  get_status_frames: one(
    each(GnttabGetStatusFrames, 'status', (call, op) => {
      if (!isGuestRange(op.frame_list)) return -EFAULT;
      const table = call.hv.grants.getStatusFrames(call.domain.domid, op.dom, op.nr_frames);
      op.status = listFrames(call, op.frame_list, table);
      return 0;
    }),
  ),
  get_version: plain(getVersion, GnttabGetVersion),
  swap_grant_ref: each(GnttabSwapGrantRef, 'status', ({ domain, hv }, op) => {
    op.status = hv.grants.swap(domain.domid, op.ref_a, op.ref_b);
    return 0;
  }),
  cache_flush: each(GnttabCacheFlush, 'none', ({ domain, hv }, { a, offset, length, op }) =>
    hv.grants.cacheFlush(domain.domid, { devBusAddr: a.dev_bus_addr, offset, length, op }),
  ),
  dump_table: refused(ENOSYS, 'everybody'),
});

export function grantTableOp(call: Call): number | bigint {
  const command = u32(call, 0) & COMMAND_MASK;
  const count = u32(call, 2);
  if (count > 0x7fff_ffff) return -EINVAL;
  if (command !== u32(call, 0) && command !== GNTTABOP_cache_flush) return -EINVAL;
  return GRANT_OPERATIONS.make(command, { ...call, count }, u64(call, 1));
}

/** Frame numbers have 64 bits; those above 2^53 lose the lowest ones and are no frames anyhow. */
const pointer = (side: Accessed<(typeof GnttabCopy)['fields']>['source'], isRef: boolean) => ({
  domid: side.domid,
  frame: isRef ? side.u.ref : Number(side.u.gmfn),
  offset: side.offset,
});

type FrameList = ReturnType<Call['hv']['grants']['setupTable']>;

/** Writes the frames to the guest's list. @returns the status to answer */
function listFrames({ guest }: Call, list: bigint, { status, frames }: FrameList): number {
  const numbers = BigUint64Array.from(frames, BigInt);
  return guest.copyTo(list, new Uint8Array(numbers.buffer)) ? status : GNTST_bad_virt_addr;
}

/** The version that is in force is always written back. The count does not matter. */
function setVersion({ domain, guest, hv }: Call, at: bigint): number {
  const request = guest.readStruct(GnttabSetVersion, at);
  if (!request) return -EFAULT;
  const { result, version } = hv.grants.setVersion(domain.domid, request.version);
  return guest.writeU32(at, version) ? result : -EFAULT;
}

function getVersion({ domain, guest, hv }: Call, at: bigint): number {
  const request = guest.readStruct(GnttabGetVersion, at);
  if (!request) return -EFAULT;
  const version = hv.grants.getVersion(domain.domid, request.dom);
  if (version < 0) return version;
  return guest.writeU32(at + BigInt(GnttabGetVersion.offset.version), version) ? 0 : -EFAULT;
}
