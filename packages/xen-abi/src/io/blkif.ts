// Xen public headers io/blkif.h and io/protocols.h.

import { array, s16, struct, u8, u16, u32, u64, x86_32, x86_64 } from '../layout/index.js';

export const BLKIF_OP_READ = 0;
export const BLKIF_OP_WRITE = 1;
/** All earlier writes are done before it, all later ones after it. */
export const BLKIF_OP_WRITE_BARRIER = 2;
export const BLKIF_OP_FLUSH_DISKCACHE = 3;
export const BLKIF_OP_RESERVED_1 = 4;
export const BLKIF_OP_DISCARD = 5;
/** The segments are in pages of their own. */
export const BLKIF_OP_INDIRECT = 6;

export const BLKIF_MAX_SEGMENTS_PER_REQUEST = 11;
export const BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST = 8;
export const BLKIF_DISCARD_SECURE = 1;

export const BLKIF_RSP_EOPNOTSUPP = -2;
export const BLKIF_RSP_ERROR = -1;
export const BLKIF_RSP_OKAY = 0;

/** Bits of the backend's node `info`. */
export const VDISK_CDROM = 0x1;
export const VDISK_REMOVABLE = 0x2;
export const VDISK_READONLY = 0x4;

/** Values of a frontend's node `protocol`: whose layout its rings have. */
export const XEN_IO_PROTO_ABI_X86_32 = 'x86_32-abi';
export const XEN_IO_PROTO_ABI_X86_64 = 'x86_64-abi';

/** Sectors of 512 bytes of one granted page. */
export const BlkifRequestSegment = struct('struct blkif_request_segment', {
  gref: u32,
  /** First and last sector within the page, both transferred. */
  first_sect: u8,
  last_sect: u8,
});

/** A read, write, barrier or flush. */
export const BlkifRequest = struct('struct blkif_request', {
  /** `BLKIF_OP_*`. */
  operation: u8,
  nr_segments: u8,
  handle: u16,
  /** The frontend's own; comes back in the response. */
  id: u64,
  sector_number: u64,
  seg: array(BlkifRequestSegment, BLKIF_MAX_SEGMENTS_PER_REQUEST),
});

/** The slot when its operation is `BLKIF_OP_DISCARD`. */
export const BlkifRequestDiscard = struct('struct blkif_request_discard', {
  operation: u8,
  /** `BLKIF_DISCARD_SECURE` or 0. */
  flag: u8,
  handle: u16,
  id: u64,
  sector_number: u64,
  nr_sectors: u64,
});

const indirectFields = {
  operation: u8,
  /** `BLKIF_OP_READ` or `BLKIF_OP_WRITE`. */
  indirect_op: u8,
  nr_segments: u16,
  id: u64,
  sector_number: u64,
  handle: u16,
  /** Pages full of `BlkifRequestSegment`. */
  indirect_grefs: array(u32, BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST),
};

/** The slot when its operation is `BLKIF_OP_INDIRECT`. */
export const BlkifRequestIndirect = struct('struct blkif_request_indirect', indirectFields, { only: x86_64 });

/** The same of a 32-bit guest. */
export const BlkifRequestIndirect32 = struct(
  'struct blkif_request_indirect',
  { ...indirectFields, pad: u64 },
  { only: x86_32 },
);

export const BlkifResponse = struct('struct blkif_response', {
  id: u64,
  operation: u8,
  /** `BLKIF_RSP_*`. */
  status: s16,
});
