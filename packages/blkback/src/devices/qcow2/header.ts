import { type BlockDevice, BlockDeviceError } from '../block-device.js';

/** What the header of a qcow2 image says, checked (QEMU, docs/interop/qcow2.txt). Offsets are bytes of the file. */
export interface Qcow2Header {
  version: 2 | 3;
  clusterBits: number;
  /** Bytes of the disk. */
  size: number;
  l1Offset: number;
  /** Entries of the L1 table that the disk needs; there may be more. */
  l1Entries: number;
  refcountTable: { offset: number; length: number };
  compression: 'zlib' | 'zstd';
  /** An L2 entry has a bitmap of 32 subclusters. */
  extendedL2: boolean;
  /** What is below: a name as it stands in the image, and its format if that stands there, too. */
  backing?: { name: string; format?: string };
}

const MAGIC = 0x5146_49fb;
const V2_LENGTH = 72;
const V3_LENGTH = 104;
/** QEMU has the same limits. */
const MAX_CLUSTER_BITS = 21;
const MAX_L1_BYTES = 32 << 20;
const MAX_REFCOUNT_BYTES = 8 << 20;
/** Ours: 64 TiB. */
const MAX_SIZE = 2 ** 46;
const MAX_BACKING_NAME = 1023;

const INCOMPATIBLE = { dirty: 1n, corrupt: 2n, externalData: 4n, compression: 8n, extendedL2: 16n };
const EXTENSION = { end: 0, backingFormat: 0xe279_2aca };
const FORMATS = ['zlib', 'zstd'] as const;

/** @throws BlockDeviceError saying what is wrong with the image */
export async function readHeader(file: BlockDevice, name: string): Promise<Qcow2Header> {
  const fail = (problem: string): never => {
    throw new BlockDeviceError(`${name} ${problem}`);
  };
  if (file.size < 512) fail('is too short for a qcow2 image');
  const start = view(await file.read(0, 512));
  if (start.getUint32(0) !== MAGIC) fail('is no qcow2 image: it begins otherwise');
  const version = start.getUint32(4);
  if (version !== 2 && version !== 3)
    return fail(`is a qcow2 image of version ${version}; 2 and 3 are known`);
  const clusterBits = start.getUint32(20);
  if (clusterBits < 9 || clusterBits > MAX_CLUSTER_BITS) fail(`claims clusters of 2^${clusterBits} bytes`);
  const clusterSize = 2 ** clusterBits;
  if (start.getUint32(32) !== 0) fail('is encrypted, which is not supported');

  const features = version === 3 ? start.getBigUint64(72) : 0n;
  const length = version === 3 ? start.getUint32(100) : V2_LENGTH;
  if (version === 3) checkFeatures(features, fail);
  if (version === 3 && (length < V3_LENGTH || length % 8 !== 0 || length > clusterSize)) {
    fail(`claims a header of ${length} bytes`);
  }
  if (version === 3 && start.getUint32(96) > 6)
    fail(`claims reference counts of 2^${start.getUint32(96)} bits`);
  const type =
    (features & INCOMPATIBLE.compression) !== 0n && length > V3_LENGTH ? start.getUint8(V3_LENGTH) : 0;
  const compression =
    FORMATS[type] ?? fail(`has clusters compressed with method ${type}, which is not known`);
  const extendedL2 = (features & INCOMPATIBLE.extendedL2) !== 0n;
  if (extendedL2 && clusterBits < 14) fail('claims subclusters in clusters that are too small for them');

  const table = (at: number, bytes: number, what: string): number => {
    const offset = number64(start, at);
    if (offset % clusterSize !== 0)
      fail(`has its ${what} at byte ${offset}, which is not the start of a cluster`);
    if (bytes > 0 && offset === 0) fail(`has its ${what} over its header`);
    if (offset + bytes > file.size) fail(`has its ${what} beyond its end: it is damaged, or cut off`);
    return offset;
  };
  const size = number64(start, 24);
  if (size % 512 !== 0 || size > MAX_SIZE) fail(`claims a disk of ${size} bytes`);
  const l1Entries = Math.ceil(size / (clusterSize * (clusterSize / (extendedL2 ? 16 : 8))));
  if (l1Entries * 8 > MAX_L1_BYTES) fail(`claims ${size} bytes in clusters that are too small for that`);
  if (start.getUint32(36) < l1Entries) fail(`has too small an L1 table for a disk of ${size} bytes`);
  const refcountBytes = start.getUint32(56) * clusterSize;
  if (refcountBytes === 0 || refcountBytes > MAX_REFCOUNT_BYTES) {
    fail(`claims a table of reference counts of ${refcountBytes} bytes`);
  }
  const backing = await readBacking(file, start, { length, clusterSize, version }, fail);
  return {
    ...{ version, clusterBits, size, l1Entries, compression, extendedL2 },
    l1Offset: table(40, l1Entries * 8, 'L1 table'),
    refcountTable: { offset: table(48, refcountBytes, 'table of reference counts'), length: refcountBytes },
    ...(backing && { backing }),
  };
}

type Fail = (problem: string) => never;

function checkFeatures(features: bigint, fail: Fail): void {
  const known = Object.values(INCOMPATIBLE).reduce((all, bit) => all | bit);
  if ((features & ~known) !== 0n)
    fail(`has features that are not known: 0x${(features & ~known).toString(16)}`);
  // "Dirty" means that reference counts may be wrong, which matters to those who write.
  if ((features & INCOMPATIBLE.corrupt) !== 0n)
    fail('is marked as corrupt: `qemu-img check -r all` may mend it');
  if ((features & INCOMPATIBLE.externalData) !== 0n)
    fail('has its data in another file, which is not supported');
}

async function readBacking(
  file: BlockDevice,
  start: DataView,
  { length, clusterSize, version }: { length: number; clusterSize: number; version: number },
  fail: Fail,
): Promise<Qcow2Header['backing']> {
  const offset = number64(start, 8);
  if (offset === 0) return undefined;
  const bytes = start.getUint32(16);
  const end = Math.min(clusterSize, file.size);
  if (bytes === 0 || bytes > MAX_BACKING_NAME || offset + bytes > end) {
    return fail(`has the name of its backing file, of ${bytes} bytes, at byte ${offset}`);
  }
  const cluster = view(await file.read(0, end));
  const name = text(cluster, offset, bytes);
  // Extensions end where the name begins, if not before.
  for (let at = version === 3 ? length : V2_LENGTH; at + 8 <= offset; ) {
    const type = cluster.getUint32(at);
    const extent = cluster.getUint32(at + 4);
    if (type === EXTENSION.end) break;
    if (at + 8 + extent > end) fail('has a header extension that leaves its first cluster');
    if (type === EXTENSION.backingFormat) return { name, format: text(cluster, at + 8, extent) };
    at += 8 + Math.ceil(extent / 8) * 8;
  }
  return { name };
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const text = (from: DataView, at: number, length: number): string =>
  new TextDecoder().decode(new Uint8Array(from.buffer, from.byteOffset + at, length));

/** What is too large to be exact is beyond any limit, too. */
const number64 = (from: DataView, at: number): number => Number(from.getBigUint64(at));
