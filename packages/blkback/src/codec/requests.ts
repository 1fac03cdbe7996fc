import {
  type Abi,
  BLKIF_DISCARD_SECURE,
  BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST,
  BLKIF_MAX_SEGMENTS_PER_REQUEST,
  BLKIF_OP_DISCARD,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_INDIRECT,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_OP_WRITE_BARRIER,
  BlkifRequest,
  BlkifRequestDiscard,
  BlkifRequestIndirect,
  BlkifRequestIndirect32,
  BlkifRequestSegment,
  x86_64,
} from '@xenolith/xen-abi';

/** Part of a granted page: sectors `first` to `last` of it, both included, counted in the ring's sectors. */
export interface Segment {
  ref: number;
  first: number;
  last: number;
}

interface Common {
  /** The frontend's own number; its response has the same. */
  id: bigint;
  /** First sector on the disk. */
  sector: bigint;
}

/**
 * A request of the block protocol (io/blkif.h), taken apart but not judged: counts are what the frontend claims, with no
 * more segments than a slot can hold.
 */
export type BlockRequest =
  | (Common & { kind: 'read' | 'write' | 'barrier' | 'flush'; segments: Segment[]; claimed: number })
  | (Common & { kind: 'indirect'; operation: number; claimed: number; refs: number[] })
  | (Common & { kind: 'discard'; sectors: bigint; secure: boolean })
  | { kind: 'unknown'; id: bigint; operation: number };

const KINDS = new Map<number, 'read' | 'write' | 'barrier' | 'flush'>([
  [BLKIF_OP_READ, 'read'],
  [BLKIF_OP_WRITE, 'write'],
  [BLKIF_OP_WRITE_BARRIER, 'barrier'],
  [BLKIF_OP_FLUSH_DISKCACHE, 'flush'],
]);

const indirectLayout = (abi: Abi) => (abi === x86_64 ? BlkifRequestIndirect : BlkifRequestIndirect32);

/** Bytes of a ring's slot under that ABI. */
export const slotSize = (abi: Abi): number => BlkifRequest.for(abi).size;

/** Takes a slot of the ring apart. @param slot a private copy of `slotSize(abi)` bytes */
export function decodeRequest(slot: Uint8Array, abi: Abi = x86_64): BlockRequest {
  const view = new DataView(slot.buffer, slot.byteOffset, slot.byteLength);
  const operation = slot[0]!;
  const kind = KINDS.get(operation);
  if (kind) {
    const request = BlkifRequest.for(abi).at(view);
    const claimed = request.nr_segments;
    const segments: Segment[] = [];
    for (let i = 0; i < Math.min(claimed, BLKIF_MAX_SEGMENTS_PER_REQUEST); i++) {
      const { gref, first_sect, last_sect } = request.seg.get(i);
      segments.push({ ref: gref, first: first_sect, last: last_sect });
    }
    return { kind, id: request.id, sector: request.sector_number, segments, claimed };
  }
  if (operation === BLKIF_OP_DISCARD) {
    const { id, sector_number: sector, nr_sectors: sectors, flag } = BlkifRequestDiscard.for(abi).at(view);
    return { kind: 'discard', id, sector, sectors, secure: (flag & BLKIF_DISCARD_SECURE) !== 0 };
  }
  if (operation === BLKIF_OP_INDIRECT) {
    const request = indirectLayout(abi).at(view);
    const refs = Array.from({ length: BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST }, (_, i) =>
      request.indirect_grefs.get(i),
    );
    const { id, sector_number: sector, nr_segments: claimed, indirect_op } = request;
    return { kind: 'indirect', id, sector, operation: indirect_op, claimed, refs };
  }
  return { kind: 'unknown', id: BlkifRequest.for(abi).at(view).id, operation };
}

/** Segments of one indirect page. */
export const SEGMENTS_PER_PAGE = 4096 / BlkifRequestSegment.size;

/** The first `count` segments of an indirect page. @param page a private copy */
export function decodeSegments(page: Uint8Array, count: number): Segment[] {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  return Array.from({ length: count }, (_, i) => {
    const { gref, first_sect, last_sect } = BlkifRequestSegment.at(view, i * BlkifRequestSegment.size);
    return { ref: gref, first: first_sect, last: last_sect };
  });
}

/** The page of an indirect request that holds these segments, at most `SEGMENTS_PER_PAGE`. */
export function encodeSegments(segments: readonly Segment[]): Uint8Array {
  const bytes = new Uint8Array(segments.length * BlkifRequestSegment.size);
  const view = new DataView(bytes.buffer);
  segments.forEach(({ ref, first, last }, i) => {
    const segment = BlkifRequestSegment.at(view, i * BlkifRequestSegment.size);
    segment.gref = ref;
    segment.first_sect = first;
    segment.last_sect = last;
  });
  return bytes;
}

/** What a frontend puts into a slot. `handle`: number of the device (`virtual-device`), low 16 bits. */
export function encodeRequest(request: BlockRequest, handle: number, abi: Abi = x86_64): Uint8Array {
  const slot = new Uint8Array(slotSize(abi));
  const view = new DataView(slot.buffer);
  if (request.kind === 'discard') {
    const to = BlkifRequestDiscard.for(abi).at(view);
    to.operation = BLKIF_OP_DISCARD;
    to.flag = request.secure ? BLKIF_DISCARD_SECURE : 0;
    to.handle = handle & 0xffff;
    to.id = request.id;
    to.sector_number = request.sector;
    to.nr_sectors = request.sectors;
  } else if (request.kind === 'indirect') {
    const to = indirectLayout(abi).at(view);
    to.operation = BLKIF_OP_INDIRECT;
    to.indirect_op = request.operation;
    to.nr_segments = request.claimed;
    to.id = request.id;
    to.sector_number = request.sector;
    to.handle = handle & 0xffff;
    request.refs.forEach((ref, i) => {
      to.indirect_grefs.set(i, ref);
    });
  } else if (request.kind === 'unknown') {
    const to = BlkifRequest.for(abi).at(view);
    to.operation = request.operation;
    to.id = request.id;
  } else {
    const to = BlkifRequest.for(abi).at(view);
    to.operation = [...KINDS].find(([, kind]) => kind === request.kind)![0];
    to.nr_segments = request.claimed;
    to.handle = handle & 0xffff;
    to.id = request.id;
    to.sector_number = request.sector;
    request.segments.forEach(({ ref, first, last }, i) => {
      const segment = to.seg.get(i);
      segment.gref = ref;
      segment.first_sect = first;
      segment.last_sect = last;
    });
  }
  return slot;
}
