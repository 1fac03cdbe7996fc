import { type BlockDevice, BlockDeviceError } from './block-device.js';
import { Recent } from './recent.js';

export interface HttpDeviceOptions {
  /** Bytes that one request fetches. Default 64 KiB. */
  blockSize?: number;
  /** Blocks that are kept, least recently used first out. Default 1024: 64 MiB. */
  cachedBlocks?: number;
  /** Default: the global one. */
  fetch?: typeof fetch;
}

/**
 * A read-only disk image behind HTTP range requests, in browsers and Node, with a cache. The image must not change on the
 * server meanwhile: its ETag and length are compared with each answer.
 */
export class HttpDevice implements BlockDevice {
  readonly readonly = true;
  private readonly blockSize: number;
  private readonly fetch: typeof fetch;
  private readonly cache: Recent<number, Uint8Array>;

  private constructor(
    private readonly url: string,
    readonly size: number,
    private readonly length: number,
    private readonly etag: string | null,
    options: HttpDeviceOptions,
  ) {
    this.blockSize = options.blockSize ?? 65536;
    this.cache = new Recent(options.cachedBlocks ?? 1024);
    this.fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  }

  /** Asks the server for the image's size. @throws BlockDeviceError if it does not answer range requests */
  static async open(url: string, options: HttpDeviceOptions = {}): Promise<HttpDevice> {
    const get = options.fetch ?? globalThis.fetch.bind(globalThis);
    const answer = await get(url, { headers: { range: 'bytes=0-0' } });
    const total = /^bytes 0-0\/(\d+)$/.exec(answer.headers.get('content-range') ?? '');
    const length = Number(total?.[1]);
    if (answer.status !== 206 || !Number.isSafeInteger(length)) {
      // Who knows no ranges would send all of it.
      await answer.body?.cancel();
      throw new BlockDeviceError(
        `${url} answers ${answer.status} to a range request: it cannot be used as a disk`,
      );
    }
    await answer.arrayBuffer();
    const size = Math.ceil(length / 512) * 512;
    return new HttpDevice(url, size, length, answer.headers.get('etag'), options);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const out = new Uint8Array(length);
    const { blockSize } = this;
    const first = Math.floor(offset / blockSize);
    const blocks: Promise<Uint8Array>[] = [];
    for (let block = first; block * blockSize < offset + length; block++) {
      blocks.push(this.cache.get(block, () => this.load(block)));
    }
    for (const [i, bytes] of (await Promise.all(blocks)).entries()) {
      const start = (first + i) * blockSize;
      const from = Math.max(0, offset - start);
      const to = Math.min(bytes.length, offset + length - start);
      if (to > from) out.set(bytes.subarray(from, to), start + from - offset);
    }
    return out;
  }

  write(): never {
    throw new BlockDeviceError(`${this.url} is read-only`);
  }

  flush(): void {}

  private async load(block: number): Promise<Uint8Array> {
    const start = block * this.blockSize;
    const end = Math.min(start + this.blockSize, this.length);
    if (start >= end) return new Uint8Array(0);
    const answer = await this.fetch(this.url, { headers: { range: `bytes=${start}-${end - 1}` } });
    if (answer.status !== 206) {
      await answer.body?.cancel();
      throw new BlockDeviceError(`${this.url} answers ${answer.status} to a range request`);
    }
    const bytes = new Uint8Array(await answer.arrayBuffer());
    if (bytes.length !== end - start) {
      throw new BlockDeviceError(`${this.url} answers with ${bytes.length} bytes instead of ${end - start}`);
    }
    if (answer.headers.get('etag') !== this.etag)
      throw new BlockDeviceError(`${this.url} has changed on the server`);
    return bytes;
  }
}
