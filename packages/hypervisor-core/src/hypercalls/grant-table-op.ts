import {
  EFAULT,
  EINVAL,
  ENOSYS,
  EOPNOTSUPP,
  type Fields,
  GNTCOPY_dest_gref,
  GNTCOPY_source_gref,
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
import { type Accessed, Operations, plain, type Row, refused, refusedAfter } from '../operations.js';
import { type Call, u32, u64 } from './call.js';

/** A number that is no frame, for 64-bit frame numbers that no machine has. */
const NO_FRAME = 0xffff_ffff;
const frameNumber = (value: bigint): number => (value > BigInt(NO_FRAME) ? NO_FRAME : Number(value));

/** Bits of argument 0 that hold the command. */
const COMMAND_BITS = 20;

/** Work of one structure: a mapping, or a copy of a page at most. */
const ELEMENT_WORK = 50;

/** A call of grant_table_op, with `count` structures. */
interface GrantCall extends Call {
  readonly count: number;
}

/** Copies each element in, works on it, copies it out; the first result that is not 0 ends the hypercall. */
const each = <F extends Fields>(
  layout: Layout<F>,
  work: (call: GrantCall, op: Accessed<F>) => number,
): Row<GrantCall> => ({
  argument: layout,
  preemptible: true,
  handler: (call, at) => {
    const { count, guest } = call;
    if (!guest.inRange(at, layout.size * count)) return -EFAULT;
    const { memory } = call.hv;
    for (let i = 0; i < count; i++) {
      if (i > 0 && memory.work.isEnough)
        return memory.continueWith([call.args[0]!, at + BigInt(i * layout.size), BigInt(count - i)]);
      memory.work.done += ELEMENT_WORK;
      const address = at + BigInt(i * layout.size);
      const view = guest.read(address, layout.size);
      if (!view) return -EFAULT;
      const rc = work(call, layout.at(view));
      if (rc !== 0) return rc;
      if (!guest.copyTo(address, new Uint8Array(view.buffer))) return -EFAULT;
    }
    return 0;
  },
});

/** As `each`, of exactly one element. */
const one = <F extends Fields>(
  layout: Layout<F>,
  work: (call: GrantCall, op: Accessed<F>) => number,
): Row<GrantCall> => {
  const row = each(layout, work);
  return {
    ...row,
    preemptible: false,
    handler: (call, at) => (call.count === 1 ? row.handler(call, at) : -EINVAL),
  };
};

/** grant_table_op: the arguments of `GrantTables`, which has the rules. */
export const GRANT_OPERATIONS = new Operations<GrantCall, 'GNTTABOP_'>('GNTTABOP_', {
  map_grant_ref: each(GnttabMapGrantRef, ({ domain, hv, vcpu }, op) => {
    const done = hv.grants.map(domain.domid, vcpu.vcpuId, {
      hostAddr: op.host_addr,
      flags: op.flags,
      ref: op.ref,
      dom: op.dom,
    });
    op.status = done.status;
    if (done.status === GNTST_okay) {
      op.handle = done.handle;
      op.dev_bus_addr = done.devBusAddr;
    }
    return 0;
  }),
  unmap_grant_ref: each(GnttabUnmapGrantRef, ({ domain, hv }, op) => {
    op.status = hv.grants.unmap(domain.domid, {
      hostAddr: op.host_addr,
      devBusAddr: op.dev_bus_addr,
      handle: op.handle,
    });
    return 0;
  }),
  unmap_and_replace: each(GnttabUnmapAndReplace, ({ domain, hv }, op) => {
    op.status = hv.grants.unmap(domain.domid, {
      hostAddr: op.host_addr,
      devBusAddr: 0n,
      handle: op.handle,
      newAddr: op.new_addr,
    });
    return 0;
  }),
  setup_table: one(GnttabSetupTable, setupTable),
  transfer: refusedAfter(
    EOPNOTSUPP,
    'everybody',
    each(GnttabTransfer, ({ hv }) => hv.grants.transfer()),
  ),
  copy: each(GnttabCopy, ({ domain, hv }, op) => {
    op.status = hv.grants.copy(domain.domid, {
      source: pointer(op.source, (op.flags & GNTCOPY_source_gref) !== 0),
      dest: pointer(op.dest, (op.flags & GNTCOPY_dest_gref) !== 0),
      length: op.len,
      flags: op.flags,
    });
    return 0;
  }),
  query_size: one(GnttabQuerySize, ({ domain, hv }, op) => {
    const size = hv.grants.querySize(domain.domid, op.dom);
    op.status = size.status;
    op.nr_frames = size.frames;
    op.max_nr_frames = size.maxFrames;
    return 0;
  }),
  set_version: plain(setVersion, GnttabSetVersion),
  get_status_frames: one(GnttabGetStatusFrames, ({ domain, hv }, op) => {
    op.status = hv.grants.getStatusFrames(domain.domid, op.dom, op.nr_frames);
    return 0;
  }),
  get_version: plain((call, at) => getVersion.handler({ ...call, count: 1 }, at), GnttabGetVersion),
  swap_grant_ref: each(GnttabSwapGrantRef, ({ domain, hv }, op) => {
    op.status = hv.grants.swap(domain.domid, op.ref_a, op.ref_b);
    return 0;
  }),
  cache_flush: each(GnttabCacheFlush, ({ domain, hv }, op) =>
    hv.grants.cacheFlush(domain.domid, {
      devBusAddr: op.a.dev_bus_addr,
      offset: op.offset,
      length: op.length,
      op: op.op,
    }),
  ),
  dump_table: refused(ENOSYS, 'everybody'),
});

const getVersion = each(GnttabGetVersion, ({ domain, hv }, op) => {
  const version = hv.grants.getVersion(domain.domid, op.dom);
  if (version < 0) return version;
  op.version = version;
  return 0;
});

export function grantTableOp(call: Call): number | bigint {
  const count = u32(call, 2);
  if (count > 0x7fff_ffff) return -EINVAL;
  const command = u32(call, 0);
  // Above the command cache_flush keeps where it continues.
  if (command >>> COMMAND_BITS !== 0 && command % 2 ** COMMAND_BITS !== GNTTABOP_cache_flush) return -EINVAL;
  return GRANT_OPERATIONS.make(command % 2 ** COMMAND_BITS, { ...call, count }, u64(call, 1));
}

const pointer = (side: Accessed<(typeof GnttabCopy)['fields']>['source'], isRef: boolean) => ({
  domid: side.domid,
  frame: isRef ? side.u.ref : frameNumber(side.u.gmfn),
  offset: side.offset,
});

function setupTable(
  { domain, guest, hv }: GrantCall,
  op: Accessed<(typeof GnttabSetupTable)['fields']>,
): number {
  const table = hv.grants.setupTable(domain.domid, op.dom, op.nr_frames);
  op.status = table.status;
  if (table.status !== GNTST_okay) return 0;
  const list = BigUint64Array.from(table.frames, (mfn) => BigInt(mfn));
  return guest.copyTo(op.frame_list, new Uint8Array(list.buffer)) ? 0 : -EFAULT;
}

/** The version that is in force is always written back. */
function setVersion({ guest, hv }: Call, at: bigint): number {
  const request = guest.readStruct(GnttabSetVersion, at);
  if (!request) return -EFAULT;
  const { result, version } = hv.grants.setVersion(request.version);
  return guest.writeU32(at, version) ? result : -EFAULT;
}
