import { type BlockDevice, BlockDeviceError } from '../block-device.js';
import { Recent } from '../recent.js';
import type { Qcow2Header } from './header.js';

/** Where `length` bytes of the disk are. */
export type Piece = { length: number } & (
  | { kind: 'zeros' | 'backing' }
  /** `at`: byte of the file. */
  | { kind: 'data'; at: number }
  /** In a compressed cluster, which begins at byte `at` of the file; `skip`: bytes of it in front. */
  | { kind: 'packed'; at: number; sectors: number; skip: number }
);

/** Memory for L2 tables. */
const CACHED_BYTES = 16 << 20;
const SUBCLUSTERS = 32;
const TWO_32 = 2 ** 32;

/**
 * The two levels of tables of a qcow2 image (QEMU, docs/interop/qcow2.txt, "Cluster mapping"). The first is checked when
 * the image is opened, each of the second level where it is used. An entry is taken as two halves of 32 bits: bits 9 to 55
 * are an offset.
 */
export class ClusterMap {
  private readonly clusterSize: number;
  private readonly entrySize: number;
  private readonly perTable: number;
  private readonly tables: Recent<number, DataView>;

  private constructor(
    private readonly file: BlockDevice,
    private readonly header: Qcow2Header,
    private readonly name: string,
    private readonly l1: DataView,
    /** Where the L2 tables are, sorted. */
    private readonly l2Offsets: Float64Array,
  ) {
    this.clusterSize = 2 ** header.clusterBits;
    this.entrySize = header.extendedL2 ? 16 : 8;
    this.perTable = this.clusterSize / this.entrySize;
    this.tables = new Recent(Math.max(2, CACHED_BYTES / this.clusterSize));
  }

  /** @throws BlockDeviceError if the L1 table lies */
  static async open(file: BlockDevice, header: Qcow2Header, name: string): Promise<ClusterMap> {
    const { l1Offset, l1Entries, clusterBits } = header;
    const bytes =
      l1Entries > 0 ? await file.read(l1Offset, Math.ceil(l1Entries / 64) * 512) : new Uint8Array(0);
    const l1 = new DataView(bytes.buffer, bytes.byteOffset, l1Entries * 8);
    const offsets: number[] = [];
    for (let i = 0; i < l1Entries; i++) {
      const high = l1.getUint32(i * 8);
      const low = l1.getUint32(i * 8 + 4);
      const offset = offsetOf(high, low);
      const problem = (what: string) => new BlockDeviceError(`${name}: entry ${i} of its L1 table ${what}`);
      if ((high & 0x7f00_0000) !== 0 || (low & 0x1ff) !== 0) throw problem('has reserved bits');
      if (offset === 0) continue;
      if (offset % 2 ** clusterBits !== 0) throw problem(`points to byte ${offset}, where no cluster begins`);
      if (offset + 2 ** clusterBits > file.size)
        throw problem('points beyond its end: it is damaged, or cut off');
      if (isInTables(header, offset)) throw problem('points to a table that is another one');
      offsets.push(offset);
    }
    const sorted = Float64Array.from(offsets).sort();
    const twice = sorted.findIndex((offset, i) => offset === sorted[i + 1]);
    if (twice >= 0) throw new BlockDeviceError(`${name}: its L1 table points to byte ${sorted[twice]} twice`);
    return new ClusterMap(file, header, name, l1, sorted);
  }

  /** Where a range of the disk is, piece by piece. @throws BlockDeviceError where the image lies */
  async find(offset: number, length: number): Promise<Piece[]> {
    const pieces: Piece[] = [];
    for (let at = offset; at < offset + length; ) {
      const cluster = Math.floor(at / this.clusterSize);
      const table = await this.table(Math.floor(cluster / this.perTable));
      // As long as this table has something to say.
      const end = Math.min(
        offset + length,
        (Math.floor(cluster / this.perTable) + 1) * this.perTable * this.clusterSize,
      );
      while (at < end) {
        const piece = this.piece(table, at, end);
        add(pieces, piece);
        at += piece.length;
      }
    }
    return pieces;
  }

  private async table(index: number): Promise<DataView | undefined> {
    const offset = offsetOf(this.l1.getUint32(index * 8), this.l1.getUint32(index * 8 + 4));
    if (offset === 0) return undefined;
    return this.tables.get(offset, async () => {
      const bytes = await this.file.read(offset, this.clusterSize);
      return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    });
  }

  /** What the table says of the byte `at` and some behind it. */
  private piece(table: DataView | undefined, at: number, end: number): Piece {
    const { clusterSize, entrySize, header } = this;
    const cluster = Math.floor(at / clusterSize);
    const skip = at % clusterSize;
    const length = Math.min(clusterSize - skip, end - at);
    if (!table) return { kind: 'backing', length };
    const entry = (cluster % this.perTable) * entrySize;
    const high = table.getUint32(entry);
    const low = table.getUint32(entry + 4);
    if ((high & 0x4000_0000) !== 0) return { kind: 'packed', length, skip, ...this.packed(high, low) };

    const problem = (what: string): BlockDeviceError =>
      new BlockDeviceError(`${this.name}: the entry of byte ${at} of the disk ${what}`);
    const hasZeroBit = header.version === 3 && !header.extendedL2;
    if ((high & 0x3f00_0000) !== 0 || (low & (hasZeroBit ? 0x1fe : 0x1ff)) !== 0)
      throw problem('has reserved bits');
    const host = offsetOf(high, low);
    const data = (bytes: number): Piece => {
      if (host === 0) throw problem('says that it is in the header');
      if (host % clusterSize !== 0) throw problem(`points to byte ${host}, where no cluster begins`);
      if (host + skip + bytes > this.file.size)
        throw problem('points beyond the end: the image is damaged, or cut off');
      if (this.isMetadata(host)) throw problem('points to a table of the image');
      return { kind: 'data', at: host + skip, length: bytes };
    };
    if (!header.extendedL2) {
      if ((low & 1) !== 0) return { kind: 'zeros', length };
      return host === 0 && high >>> 31 === 0 ? { kind: 'backing', length } : data(length);
    }
    const subcluster = Math.floor(skip / (clusterSize / SUBCLUSTERS));
    const bytes = Math.min(((subcluster + 1) * clusterSize) / SUBCLUSTERS - skip, length);
    const isZero = (table.getUint32(entry + 8) >>> subcluster) & 1;
    const isAllocated = (table.getUint32(entry + 12) >>> subcluster) & 1;
    if (isZero && isAllocated) throw problem('says that it is zero and that it is data');
    if (isAllocated) return data(bytes);
    return { kind: isZero ? 'zeros' : 'backing', length: bytes };
  }

  /** "Compressed Clusters Descriptor": how many bits the offset has depends on the cluster's size. */
  private packed(high: number, low: number): { at: number; sectors: number } {
    const offsetBits = 62 - (this.header.clusterBits - 8) - 32;
    const at = (high & (2 ** offsetBits - 1)) * TWO_32 + low;
    const sectors = ((high & 0x3fff_ffff) >>> offsetBits) + 1;
    if (at >= this.file.size || this.isMetadata(at - (at % this.clusterSize))) {
      throw new BlockDeviceError(`${this.name}: there is no compressed cluster at byte ${at}`);
    }
    return { at, sectors };
  }

  /** Whether a cluster of the file is one of the image's own tables. */
  private isMetadata(host: number): boolean {
    if (isInTables(this.header, host)) return true;
    let low = 0;
    let high = this.l2Offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.l2Offsets[middle]! < host) low = middle + 1;
      else high = middle;
    }
    return this.l2Offsets[low] === host;
  }
}

const offsetOf = (high: number, low: number): number =>
  (high & 0x00ff_ffff) * TWO_32 + ((low & ~0x1ff) >>> 0);

/** Whether a cluster is the header, or belongs to the tables that the header names. */
function isInTables({ clusterBits, l1Offset, l1Entries, refcountTable }: Qcow2Header, host: number): boolean {
  const touches = (offset: number, length: number): boolean =>
    host + 2 ** clusterBits > offset && host < offset + length;
  return (
    host === 0 || touches(l1Offset, l1Entries * 8) || touches(refcountTable.offset, refcountTable.length)
  );
}

/** Adds a piece, or makes the last one longer if this one goes on where that ends. */
function add(pieces: Piece[], piece: Piece): void {
  const last = pieces.at(-1);
  const goesOn =
    last &&
    last.kind === piece.kind &&
    piece.kind !== 'packed' &&
    (last.kind !== 'data' || (piece.kind === 'data' && last.at + last.length === piece.at));
  if (goesOn) last.length += piece.length;
  else pieces.push(piece);
}
