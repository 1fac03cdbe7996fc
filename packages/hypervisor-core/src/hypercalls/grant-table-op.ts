import {
  EFAULT,
  EINVAL,
  ENOSYS,
  GNTCOPY_dest_gref,
  GNTCOPY_source_gref,
  GNTST_okay,
  GNTTABOP_cache_flush,
  GNTTABOP_copy,
  GNTTABOP_get_status_frames,
  GNTTABOP_get_version,
  GNTTABOP_map_grant_ref,
  GNTTABOP_query_size,
  GNTTABOP_set_version,
  GNTTABOP_setup_table,
  GNTTABOP_swap_grant_ref,
  GNTTABOP_transfer,
  GNTTABOP_unmap_and_replace,
  GNTTABOP_unmap_grant_ref,
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
import { type Call, u32, u64 } from './call.js';

type Accessed<F> = ReturnType<Layout<F>['at']>;

/** A number that is no frame, for 64-bit frame numbers that no machine has. */
const NO_FRAME = 0xffff_ffff;
const frameNumber = (value: bigint): number => (value > BigInt(NO_FRAME) ? NO_FRAME : Number(value));

/** Copies each element in, works on it, copies it out; the first result that is not 0 ends the hypercall. */
function each<F>(
  { guest }: Call,
  layout: Layout<F>,
  at: bigint,
  count: number,
  work: (op: Accessed<F>) => number,
): number {
  if (!guest.inRange(at, layout.size * count)) return -EFAULT;
  for (let i = 0; i < count; i++) {
    const address = at + BigInt(i * layout.size);
    const view = guest.read(address, layout.size);
    if (!view) return -EFAULT;
    const rc = work(layout.at(view));
    if (rc !== 0) return rc;
    if (!guest.copyTo(address, new Uint8Array(view.buffer))) return -EFAULT;
  }
  return 0;
}

/** grant_table_op: the arguments of `GrantTables`, which has the rules. */
export function grantTableOp(call: Call): number {
  const command = u32(call, 0);
  const at = u64(call, 1);
  const count = u32(call, 2);
  if (count > 0x7fff_ffff) return -EINVAL;
  const { domain, hv, vcpu } = call;
  const { grants } = hv;
  const self = domain.domid;
  switch (command) {
    case GNTTABOP_map_grant_ref:
      return each(call, GnttabMapGrantRef, at, count, (op) => {
        const done = grants.map(self, vcpu.vcpuId, {
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
      });
    case GNTTABOP_unmap_grant_ref:
      return each(call, GnttabUnmapGrantRef, at, count, (op) => {
        op.status = grants.unmap(self, {
          hostAddr: op.host_addr,
          devBusAddr: op.dev_bus_addr,
          handle: op.handle,
        });
        return 0;
      });
    case GNTTABOP_unmap_and_replace:
      return each(call, GnttabUnmapAndReplace, at, count, (op) => {
        op.status = grants.unmap(self, {
          hostAddr: op.host_addr,
          devBusAddr: 0n,
          handle: op.handle,
          newAddr: op.new_addr,
        });
        return 0;
      });
    case GNTTABOP_setup_table:
      return setupTable(call, at, count);
    case GNTTABOP_transfer:
      return each(call, GnttabTransfer, at, count, () => grants.transfer());
    case GNTTABOP_copy:
      return each(call, GnttabCopy, at, count, (op) => {
        op.status = grants.copy(self, {
          source: pointer(op.source, (op.flags & GNTCOPY_source_gref) !== 0),
          dest: pointer(op.dest, (op.flags & GNTCOPY_dest_gref) !== 0),
          length: op.len,
          flags: op.flags,
        });
        return 0;
      });
    case GNTTABOP_query_size:
      if (count !== 1) return -EINVAL;
      return each(call, GnttabQuerySize, at, 1, (op) => {
        const size = grants.querySize(self, op.dom);
        op.status = size.status;
        op.nr_frames = size.frames;
        op.max_nr_frames = size.maxFrames;
        return 0;
      });
    case GNTTABOP_set_version:
      return setVersion(call, at);
    case GNTTABOP_get_status_frames:
      if (count !== 1) return -EINVAL;
      return each(call, GnttabGetStatusFrames, at, 1, (op) => {
        op.status = grants.getStatusFrames(self, op.dom, op.nr_frames);
        return 0;
      });
    case GNTTABOP_get_version:
      return each(call, GnttabGetVersion, at, 1, (op) => {
        const version = grants.getVersion(self, op.dom);
        if (version < 0) return version;
        op.version = version;
        return 0;
      });
    case GNTTABOP_swap_grant_ref:
      return each(call, GnttabSwapGrantRef, at, count, (op) => {
        op.status = grants.swap(self, op.ref_a, op.ref_b);
        return 0;
      });
    case GNTTABOP_cache_flush:
      return each(call, GnttabCacheFlush, at, count, (op) =>
        grants.cacheFlush(self, {
          devBusAddr: op.a.dev_bus_addr,
          offset: op.offset,
          length: op.length,
          op: op.op,
        }),
      );
    default:
      return -ENOSYS;
  }
}

const pointer = (side: Accessed<(typeof GnttabCopy)['fields']>['source'], isRef: boolean) => ({
  domid: side.domid,
  frame: isRef ? side.u.ref : frameNumber(side.u.gmfn),
  offset: side.offset,
});

function setupTable(call: Call, at: bigint, count: number): number {
  if (count !== 1) return -EINVAL;
  const { domain, guest, hv } = call;
  return each(call, GnttabSetupTable, at, 1, (op) => {
    const table = hv.grants.setupTable(domain.domid, op.dom, op.nr_frames);
    op.status = table.status;
    if (table.status !== GNTST_okay) return 0;
    const list = BigUint64Array.from(table.frames, (mfn) => BigInt(mfn));
    return guest.copyTo(op.frame_list, new Uint8Array(list.buffer)) ? 0 : -EFAULT;
  });
}

/** The version that is in force is always written back. */
function setVersion({ guest, hv }: Call, at: bigint): number {
  const request = guest.readStruct(GnttabSetVersion, at);
  if (!request) return -EFAULT;
  const { result, version } = hv.grants.setVersion(request.version);
  return guest.writeU32(at, version) ? result : -EFAULT;
}
