import { deflateSync } from 'fflate';

/** A cluster of the disk; those that are not named are unallocated. */
export type ClusterPlan =
  | { kind: 'data' | 'packed'; bytes: Uint8Array }
  | { kind: 'zeros' }
  /** For extended L2 entries: bitmaps of subclusters. */
  | { kind: 'parts'; bytes: Uint8Array; allocated: number; zeros: number };

export interface ImagePlan {
  /** Bytes of the disk. */
  size: number;
  version?: 2 | 3;
  clusterBits?: number;
  extendedL2?: boolean;
  backing?: { name: string; format?: string };
  clusters?: ReadonlyMap<number, ClusterPlan>;
}

/** An image, and where its parts are, for tests that spoil it. */
export interface Image {
  bytes: Uint8Array;
  l1: number;
  /** L2 tables, in the order of the disk. */
  l2: number[];
}

const COPIED = 1n << 63n;
const COMPRESSED = 1n << 62n;

/** Makes a qcow2 image (QEMU, docs/interop/qcow2.txt) in which `qemu-img check` finds nothing. */
export function qcow2Image(plan: ImagePlan): Image {
  const { size, clusterBits = 16, extendedL2 = false, clusters = new Map() } = plan;
  const clusterSize = 2 ** clusterBits;
  const entrySize = extendedL2 ? 16 : 8;
  const perTable = clusterSize / entrySize;
  const counts: number[] = [];
  const chunks: { at: number; bytes: Uint8Array }[] = [];
  /** Takes whole clusters at the end. */
  const allocate = (length: number): number => {
    const at = counts.length * clusterSize;
    for (let i = 0; i < Math.ceil(length / clusterSize); i++) counts.push(1);
    return at;
  };
  const place = (bytes: Uint8Array): number => {
    const at = allocate(bytes.length);
    chunks.push({ at, bytes });
    return at;
  };

  const header = new Uint8Array(clusterSize);
  place(header);
  const l1Entries = Math.ceil(size / clusterSize / perTable);
  const l1 = new DataView(new ArrayBuffer(Math.max(l1Entries, 1) * 8));
  const l1At = place(new Uint8Array(l1.buffer));
  const tables = new Map<number, DataView>();
  const l2: number[] = [];
  for (const index of [...new Set([...clusters.keys()].map((n) => Math.floor(n / perTable)))].sort(
    (a, b) => a - b,
  )) {
    const table = new Uint8Array(clusterSize);
    tables.set(index, new DataView(table.buffer));
    const at = place(table);
    l2.push(at);
    l1.setBigUint64(index * 8, BigInt(at) | COPIED);
  }
  /** Where the next compressed cluster goes: they lie side by side. */
  let free = 0;
  for (const [n, cluster] of clusters) {
    const table = tables.get(Math.floor(n / perTable))!;
    const entry = (n % perTable) * entrySize;
    if (cluster.kind === 'zeros') {
      if (extendedL2) table.setBigUint64(entry + 8, 0xffff_ffff_0000_0000n);
      else table.setBigUint64(entry, 1n);
    } else if (cluster.kind === 'packed') {
      const packed = deflateSync(cluster.bytes, { level: 9 });
      if (free % clusterSize === 0) free = allocate(clusterSize);
      const at = free;
      free += packed.length;
      // What does not fit goes on in the next clusters, which are ours alone if they are the last ones.
      if (Math.ceil(free / clusterSize) > counts.length) allocate(free - counts.length * clusterSize);
      else if (Math.ceil(free / clusterSize) * clusterSize !== counts.length * clusterSize)
        throw new Error('not the last');
      const sectors = Math.floor((free - 1) / 512) - Math.floor(at / 512);
      // A cluster is referenced by each compressed cluster that has a part in it.
      const first = Math.floor(at / clusterSize);
      if (at % clusterSize !== 0) counts[first]!++;
      chunks.push({ at, bytes: packed });
      table.setBigUint64(
        entry,
        COMPRESSED | (BigInt(sectors) << BigInt(62 - (clusterBits - 8))) | BigInt(at),
      );
    } else {
      // Behind what is being filled, another begins.
      free = 0;
      table.setBigUint64(entry, BigInt(place(cluster.bytes)) | COPIED);
      if (cluster.kind === 'parts') {
        table.setUint32(entry + 8, cluster.zeros);
        table.setUint32(entry + 12, cluster.allocated);
      } else if (extendedL2) table.setUint32(entry + 12, 0xffff_ffff);
    }
  }

  // The counts count their own clusters, too.
  const perBlock = clusterSize / 2;
  let blocks = 0;
  let tableClusters = 0;
  for (let before = -1; before !== blocks + tableClusters; ) {
    before = blocks + tableClusters;
    blocks = Math.ceil((counts.length + before) / perBlock);
    tableClusters = Math.ceil((blocks * 8) / clusterSize);
  }
  const refcountAt = allocate(tableClusters * clusterSize);
  const blocksAt = allocate(blocks * clusterSize);
  const refcountTable = new DataView(new ArrayBuffer(tableClusters * clusterSize));
  const refcounts = new DataView(new ArrayBuffer(blocks * clusterSize));
  for (let i = 0; i < blocks; i++) refcountTable.setBigUint64(i * 8, BigInt(blocksAt + i * clusterSize));
  for (const [i, count] of counts.entries()) refcounts.setUint16(i * 2, count);
  chunks.push({ at: refcountAt, bytes: new Uint8Array(refcountTable.buffer) });
  chunks.push({ at: blocksAt, bytes: new Uint8Array(refcounts.buffer) });

  writeHeader(header, plan, { clusterBits, l1Entries, l1At, refcountAt, tableClusters });
  const bytes = new Uint8Array(counts.length * clusterSize);
  for (const chunk of chunks) bytes.set(chunk.bytes, chunk.at);
  return { bytes, l1: l1At, l2 };
}

function writeHeader(
  header: Uint8Array,
  { size, version = 3, extendedL2, backing }: ImagePlan,
  places: { clusterBits: number; l1Entries: number; l1At: number; refcountAt: number; tableClusters: number },
): void {
  const to = new DataView(header.buffer);
  to.setUint32(0, 0x5146_49fb);
  to.setUint32(4, version);
  to.setUint32(20, places.clusterBits);
  to.setBigUint64(24, BigInt(size));
  to.setUint32(36, places.l1Entries);
  to.setBigUint64(40, BigInt(places.l1At));
  to.setBigUint64(48, BigInt(places.refcountAt));
  to.setUint32(56, places.tableClusters);
  let at = 72;
  if (version === 3) {
    if (extendedL2) to.setBigUint64(72, 16n);
    to.setUint32(96, 4);
    at = 104;
    to.setUint32(100, at);
  }
  if (!backing) return;
  if (backing.format !== undefined) {
    to.setUint32(at, 0xe279_2aca);
    to.setUint32(at + 4, backing.format.length);
    header.set(new TextEncoder().encode(backing.format), at + 8);
    at += 8 + Math.ceil(backing.format.length / 8) * 8;
  }
  at += 8;
  const name = new TextEncoder().encode(backing.name);
  to.setBigUint64(8, BigInt(at));
  to.setUint32(16, name.length);
  header.set(name, at);
}
