import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BlockDevice, BlockDeviceError } from '../devices/block-device.js';
import { canPunchHoles, HolePuncher } from './hole-puncher.js';

export interface FileDeviceOptions {
  /** Default false. */
  readonly?: boolean;
  /** A last sector that is not whole ends with zeros, for files that are only read. Default: such files are refused. */
  padded?: boolean;
}

/**
 * A raw image in a file, or a block device of this machine. A guest's flush is an fdatasync: what it had flushed is there
 * after this process, or the machine, dies.
 */
export class FileDevice implements BlockDevice {
  /** Only where this machine can free parts of a file. */
  readonly discard?: (offset: number, length: number) => Promise<void>;

  private constructor(
    private readonly file: FileHandle,
    readonly path: string,
    private bytes: number,
    readonly readonly: boolean,
    private readonly padded: boolean,
    puncher: HolePuncher | undefined,
  ) {
    if (puncher) this.discard = (offset, length) => puncher.punch(offset, length);
  }

  /** @throws BlockDeviceError with the path and the reason if it cannot be opened, or has no whole sectors */
  static async open(path: string, options: FileDeviceOptions = {}): Promise<FileDevice> {
    const { readonly = false, padded = false } = options;
    let file: FileHandle;
    try {
      file = await open(path, readonly ? 'r' : 'r+');
    } catch (error) {
      throw new BlockDeviceError(`${path} cannot be opened as a disk: ${(error as Error).message}`);
    }
    try {
      const puncher = !readonly && (await canPunchHoles()) ? new HolePuncher(path) : undefined;
      const device = new FileDevice(file, path, 0, readonly, padded && readonly, puncher);
      await device.refreshSize();
      return device;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /**
   * A disk of zeros that takes only the room of what is written, in a file of the temporary directory that nobody else sees and
   * that is gone when it is closed, or when this process ends in whatever way.
   * @param bytes a multiple of 512
   * @throws BlockDeviceError if there cannot be such a file
   */
  static async temporary(bytes: number): Promise<FileDevice> {
    const directory = await mkdtemp(join(tmpdir(), 'xenolith-disk-'));
    let file: FileHandle | undefined;
    try {
      file = await open(join(directory, 'disk'), 'wx+', 0o600);
      await file.truncate(bytes);
      // The file has no name any more, but an open one can be reached here, where there is fallocate(1).
      const puncher = (await canPunchHoles())
        ? new HolePuncher(`/proc/${process.pid}/fd/${file.fd}`)
        : undefined;
      return new FileDevice(file, directory, bytes, false, false, puncher);
    } catch (error) {
      await file?.close();
      throw new BlockDeviceError(
        `No disk of ${bytes} bytes can be made in ${directory}: ${(error as Error).message}`,
      );
    } finally {
      await rm(directory, { recursive: true });
    }
  }

  get size(): number {
    return this.bytes;
  }

  /** Looks how large the file is now. @throws BlockDeviceError */
  async refreshSize(): Promise<void> {
    const stat = await this.file.stat();
    if (!stat.isFile() && !stat.isBlockDevice()) {
      throw new BlockDeviceError(`${this.path} is neither a file nor a block device`);
    }
    const bytes = stat.isBlockDevice() ? await this.endOfDevice() : stat.size;
    if (bytes % 512 !== 0 && !this.padded) {
      throw new BlockDeviceError(
        `${this.path} has ${bytes} bytes, which is no whole number of sectors of 512 bytes`,
      );
    }
    this.bytes = Math.ceil(bytes / 512) * 512;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const out = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const { bytesRead } = await this.file.read(out, at, length - at, offset + at);
      if (bytesRead === 0) {
        if (this.padded && offset + at > this.size - 512) break;
        throw new BlockDeviceError(`${this.path} ends at byte ${offset + at}`);
      }
      at += bytesRead;
    }
    return out;
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    if (this.readonly) throw new BlockDeviceError(`${this.path} is read-only`);
    for (let at = 0; at < data.length; ) {
      at += (await this.file.write(data, at, data.length - at, offset + at)).bytesWritten;
    }
  }

  async flush(): Promise<void> {
    if (!this.readonly) await this.file.datasync();
  }

  async close(): Promise<void> {
    await this.file.close();
  }

  /** A block device's `stat` has no size: looks for the last byte that can be read. */
  private async endOfDevice(): Promise<number> {
    const byte = new Uint8Array(1);
    const canRead = async (at: number) => (await this.file.read(byte, 0, 1, at)).bytesRead === 1;
    let low = 0;
    let high = 512;
    while (await canRead(high - 1)) {
      low = high;
      high *= 2;
    }
    while (high - low > 512) {
      const middle = Math.floor((low + high) / 1024) * 512;
      if (await canRead(middle - 1)) low = middle;
      else high = middle;
    }
    return low;
  }
}
