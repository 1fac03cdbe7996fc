import {
  BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST,
  BLKIF_MAX_SEGMENTS_PER_REQUEST,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
} from '@xenolith/xen-abi';
import { type BlockRequest, decodeSegments, SEGMENTS_PER_PAGE, type Segment } from '../codec/index.js';

const PAGE = 4096;

/** A request that makes sense, in bytes. */
export type Plan =
  | { kind: 'read' | 'write' | 'barrier'; offset: number; length: number; segments: readonly Segment[] }
  | { kind: 'flush' }
  | { kind: 'discard'; offset: number; length: number };

/** Why a request is refused. */
export class BadRequest extends Error {
  override name = 'BadRequest';
  constructor(
    message: string,
    /** The disk has no such operation: BLKIF_RSP_EOPNOTSUPP instead of an error. */
    readonly unsupported = false,
  ) {
    super(message);
  }
}

/** What a plan is checked against. */
export interface Limits {
  /** Bytes of the disk. */
  size: number;
  /** Bytes of the sectors in which the frontend counts. */
  sectorSize: number;
  readonly: boolean;
  canDiscard: boolean;
  /** Segments of an indirect request; 0: there are none. */
  maxIndirectSegments: number;
}

/**
 * Checks a request as a frontend that may be hostile has made it.
 * @param readPage gives a private copy of a granted page, for indirect requests
 * @throws BadRequest saying what is wrong
 */
export function planRequest(
  request: BlockRequest,
  limits: Limits,
  readPage: (ref: number) => Uint8Array,
): Plan {
  switch (request.kind) {
    case 'unknown':
      throw new BadRequest(`operation ${request.operation} does not exist`);
    case 'discard':
      if (!limits.canDiscard) throw new BadRequest('the disk cannot discard', true);
      if (request.secure) throw new BadRequest('the disk cannot discard securely', true);
      if (limits.readonly) throw new BadRequest('a discard on a read-only disk');
      return { kind: 'discard', ...range(request.sector, request.sectors, limits) };
    case 'indirect':
      return planIndirect(request, limits, readPage);
    case 'flush':
      return { kind: 'flush' };
    case 'barrier':
      // A barrier without data is one all the same.
      if (request.claimed === 0) return { kind: 'barrier', offset: 0, length: 0, segments: [] };
      break;
  }
  if (request.claimed < 1 || request.claimed > BLKIF_MAX_SEGMENTS_PER_REQUEST) {
    throw new BadRequest(`${request.claimed} segments`);
  }
  return transfer(request.kind, request.sector, request.segments, limits);
}

function planIndirect(
  { claimed, operation, sector, refs }: BlockRequest & { kind: 'indirect' },
  limits: Limits,
  readPage: (ref: number) => Uint8Array,
): Plan {
  if (limits.maxIndirectSegments === 0) throw new BadRequest('an indirect request');
  if (operation !== BLKIF_OP_READ && operation !== BLKIF_OP_WRITE) {
    throw new BadRequest(`indirect operation ${operation}`);
  }
  if (claimed < 1 || claimed > limits.maxIndirectSegments)
    throw new BadRequest(`${claimed} indirect segments`);
  const segments: Segment[] = [];
  for (let page = 0; page < BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST && segments.length < claimed; page++) {
    const count = Math.min(claimed - segments.length, SEGMENTS_PER_PAGE);
    segments.push(...decodeSegments(readPage(refs[page]!), count));
  }
  return transfer(operation === BLKIF_OP_READ ? 'read' : 'write', sector, segments, limits);
}

function transfer(
  kind: 'read' | 'write' | 'barrier',
  sector: bigint,
  segments: readonly Segment[],
  limits: Limits,
): Plan {
  if (kind !== 'read' && limits.readonly) throw new BadRequest('a write to a read-only disk');
  const perPage = PAGE / limits.sectorSize;
  let sectors = 0;
  for (const { first, last } of segments) {
    if (first > last || last >= perPage) throw new BadRequest(`a segment of sectors ${first} to ${last}`);
    sectors += last - first + 1;
  }
  return { kind, ...range(sector, BigInt(sectors), limits), segments };
}

function range(
  sector: bigint,
  sectors: bigint,
  { size, sectorSize }: Limits,
): { offset: number; length: number } {
  const all = BigInt(Math.floor(size / sectorSize));
  if (sectors > all || sector > all - sectors) {
    throw new BadRequest(`sectors ${sector} to ${sector + sectors} of a disk of ${all}`);
  }
  return { offset: Number(sector) * sectorSize, length: Number(sectors) * sectorSize };
}
