import { type BlockDevice, BlockDeviceError } from '../block-device.js';
import { Recent } from '../recent.js';
import { ClusterMap, type Piece } from './cluster-map.js';
import { type Qcow2Header, readHeader } from './header.js';
import { unpack } from './unpack.js';

export interface Qcow2Options {
  /** What the image is called in messages. Default: "The image". */
  name?: string;
  /**
   * Opens what the image says is below it, which anybody may have written there: a name and, if the image says it, a format.
   * Default: images with something below are refused.
   */
  openBacking?(name: string, format: string | undefined): Promise<BlockDevice>;
}

/** Memory for unpacked clusters. */
const CACHED_BYTES = 8 << 20;

/**
 * A disk in a qcow2 image (QEMU, docs/interop/qcow2.txt), read-only: versions 2 and 3, clusters compressed by zlib or zstd,
 * subclusters, backing files. The image may be any device, and may lie: what its tables say is checked before it is used,
 * and neither memory nor time depend on what it claims. Encryption and external data files are refused, internal snapshots
 * are not looked at.
 */
export class Qcow2Device implements BlockDevice {
  readonly readonly = true;
  private readonly unpacked: Recent<number, Uint8Array>;
  /** One cluster is unpacked after the other. */
  private unpacking: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly file: BlockDevice,
    private readonly header: Qcow2Header,
    private readonly map: ClusterMap,
    private readonly backing: BlockDevice | undefined,
    private readonly name: string,
  ) {
    this.unpacked = new Recent(Math.max(2, CACHED_BYTES / 2 ** header.clusterBits));
  }

  /**
   * @param file the image; it is closed with the device
   * @throws BlockDeviceError if it is no such image, is damaged, or has something that is not supported; `file` stays open
   */
  static async open(file: BlockDevice, options: Qcow2Options = {}): Promise<Qcow2Device> {
    const { name = 'The image', openBacking } = options;
    const header = await readHeader(file, name);
    const map = await ClusterMap.open(file, header, name);
    if (!header.backing) return new Qcow2Device(file, header, map, undefined, name);
    const { name: below, format } = header.backing;
    if (!openBacking)
      throw new BlockDeviceError(`${name} needs ${JSON.stringify(below)} below it, which is not there`);
    return new Qcow2Device(file, header, map, await openBacking(below, format), name);
  }

  get size(): number {
    return this.header.size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const out = new Uint8Array(length);
    const parts: Promise<void>[] = [];
    let at = 0;
    for (const piece of await this.map.find(offset, length)) {
      parts.push(this.copy(piece, offset + at, out.subarray(at, at + piece.length)));
      at += piece.length;
    }
    await Promise.all(parts);
    return out;
  }

  write(): never {
    throw new BlockDeviceError(`${this.name} can only be read`);
  }

  flush(): void {}

  async close(): Promise<void> {
    await this.backing?.close?.();
    await this.file.close?.();
  }

  /** @param to zeros, as many as the piece is long */
  private async copy(piece: Piece, offset: number, to: Uint8Array): Promise<void> {
    const { backing, file } = this;
    switch (piece.kind) {
      case 'data':
        to.set(await file.read(piece.at, piece.length));
        break;
      case 'packed':
        to.set((await this.cluster(piece)).subarray(piece.skip, piece.skip + piece.length));
        break;
      case 'backing': {
        const length = Math.min(piece.length, (backing?.size ?? 0) - offset);
        if (length > 0) to.set(await backing!.read(offset, length));
      }
    }
  }

  private cluster({ at, sectors }: Piece & { kind: 'packed' }): Promise<Uint8Array> {
    const { file, header, name } = this;
    const size = 2 ** header.clusterBits;
    const load = async (): Promise<Uint8Array> => {
      const start = at - (at % 512);
      // A cluster that does not become smaller is not compressed.
      const length = Math.min(sectors * 512, size + 512, file.size - start);
      const packed = await file.read(start, length);
      try {
        return await unpack(packed.subarray(at - start), header.compression, size);
      } catch (error) {
        const { message } = error as Error;
        throw new BlockDeviceError(`${name}: the compressed cluster at byte ${at} is damaged: ${message}`);
      }
    };
    return this.unpacked.get(at, () => {
      const bytes = this.unpacking.then(load, load);
      this.unpacking = bytes;
      return bytes;
    });
  }
}
