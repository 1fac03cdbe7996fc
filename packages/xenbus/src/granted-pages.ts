import type { GrantMapping, Grants, SharedMemory } from '@xenolith/guest-api';
import { XenbusError } from './errors.js';

const PAGE = 4096;

/** Pages that another domain granted, seen as one piece of memory: the shared memory of a ring of one or more pages. */
export class GrantedPages implements SharedMemory {
  private constructor(
    private readonly grants: Grants,
    private readonly pages: readonly GrantMapping[],
  ) {}

  /** @throws XenbusError naming the grant that cannot be mapped; then none is */
  static map(grants: Grants, domid: number, refs: readonly number[]): GrantedPages {
    const pages: GrantMapping[] = [];
    for (const ref of refs) {
      const page = grants.map(domid, ref);
      if (typeof page === 'number') {
        for (const mapped of pages) grants.unmap(mapped);
        throw new XenbusError('EINVAL', `grant ${ref} of domain ${domid} cannot be mapped: status ${page}`);
      }
      pages.push(page);
    }
    return new GrantedPages(grants, pages);
  }

  /** Bytes in all. */
  get length(): number {
    return this.pages.length * PAGE;
  }

  /** False once the other domain has gone: then nothing here may be used. */
  get live(): boolean {
    return this.pages.every((page) => page.live);
  }

  unmap(): void {
    for (const page of this.pages) this.grants.unmap(page);
  }

  read(offset: number, length: number): Uint8Array {
    const inPage = offset % PAGE;
    if (inPage + length <= PAGE) return this.page(offset).read(inPage, length);
    const bytes = new Uint8Array(length);
    this.readInto(offset, bytes);
    return bytes;
  }

  readInto(offset: number, to: Uint8Array): void {
    for (let at = 0; at < to.length; ) {
      const inPage = (offset + at) % PAGE;
      const piece = Math.min(to.length - at, PAGE - inPage);
      this.page(offset + at).readInto(inPage, to.subarray(at, at + piece));
      at += piece;
    }
  }

  write(offset: number, data: Uint8Array): void {
    for (let at = 0; at < data.length; ) {
      const inPage = (offset + at) % PAGE;
      const piece = Math.min(data.length - at, PAGE - inPage);
      this.page(offset + at).write(inPage, data.subarray(at, at + piece));
      at += piece;
    }
  }

  readU8(offset: number): number {
    return this.page(offset).readU8(offset % PAGE);
  }

  readU16(offset: number): number {
    return this.page(offset).readU16(offset % PAGE);
  }

  readU32(offset: number): number {
    return this.page(offset).readU32(offset % PAGE);
  }

  writeU8(offset: number, value: number): void {
    this.page(offset).writeU8(offset % PAGE, value);
  }

  writeU16(offset: number, value: number): void {
    this.page(offset).writeU16(offset % PAGE, value);
  }

  writeU32(offset: number, value: number): void {
    this.page(offset).writeU32(offset % PAGE, value);
  }

  private page(offset: number): GrantMapping {
    const page = this.pages[Math.floor(offset / PAGE)];
    if (!page) throw new RangeError(`Byte ${offset} is outside of ${this.length} shared bytes.`);
    return page;
  }
}
