import type { FrontDisk } from '@xenolith/blkback';

const BLOCK = 512;
const text = new TextDecoder();

/** The file system: a tar archive (ustar, POSIX.1-1988) on a disk, whose blocks are the disk's sectors. */
export class TarFiles {
  constructor(private readonly disk: FrontDisk) {}

  /** The files, and where their contents begin on the disk; the last of a name counts. */
  async list(): Promise<Map<string, { start: number; size: number }>> {
    const files = new Map<string, { start: number; size: number }>();
    for (let at = 0; at < this.disk.size; ) {
      const header = await this.disk.read(at, BLOCK);
      if (header[0] === 0) break;
      const size = Number.parseInt(field(header, 124, 12), 8) || 0;
      files.set(field(header, 0, 100), { start: at + BLOCK, size });
      at += BLOCK + blocks(size);
    }
    return files;
  }

  async read(name: string): Promise<Uint8Array> {
    const file = (await this.list()).get(name);
    if (!file) throw new Error(`there is no ${name}`);
    return (await this.disk.read(file.start, blocks(file.size))).subarray(0, file.size);
  }

  /** Appends a file, and the two empty blocks that end an archive. */
  async write(name: string, contents: Uint8Array): Promise<void> {
    const ends = [...(await this.list()).values()].map(({ start, size }) => start + blocks(size));
    const end = Math.max(0, ...ends);
    const bytes = new Uint8Array(BLOCK + blocks(contents.length) + 2 * BLOCK);
    if (end + bytes.length > this.disk.size) throw new Error('the disk is full');
    bytes.set(header(name, contents.length));
    bytes.set(contents, BLOCK);
    await this.disk.write(end, bytes);
    await this.disk.flush();
  }
}

const blocks = (size: number): number => Math.ceil(size / BLOCK) * BLOCK;

const field = (header: Uint8Array, at: number, length: number): string =>
  text.decode(header.subarray(at, at + length)).split('\0')[0]!;

function header(name: string, size: number): Uint8Array {
  const bytes = new Uint8Array(BLOCK);
  const put = (at: number, value: string) => bytes.set(new TextEncoder().encode(value), at);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0');
  if (new TextEncoder().encode(name).length > 100) throw new Error('a name has at most 100 bytes');
  put(0, name);
  put(100, '0000644\0' + '0000000\0' + '0000000\0');
  put(124, `${octal(size, 11)}\0${octal(0, 11)}\0`);
  put(148, ' '.repeat(8));
  put(156, '0');
  put(257, 'ustar\0' + '00');
  put(
    148,
    `${octal(
      bytes.reduce((sum, byte) => sum + byte, 0),
      6,
    )}\0`,
  );
  return bytes;
}
