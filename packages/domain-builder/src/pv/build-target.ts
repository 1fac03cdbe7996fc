/**
 * The new domain's memory, as the builder writes it: pfns 0 … pages − 1, each backed by a machine frame that belongs to
 * the domain already. Nothing else may run in or write to the domain while it is being built.
 */
export interface BuildTarget {
  /** Size of the domain, in pages of 4 KiB. */
  readonly pages: number;
  /** Machine frame number behind a pfn, below 2^32. */
  p2m(pfn: number): number;
  /** The page's 4,096 bytes, to be written in place; valid at least until the next call. */
  pageBytes(pfn: number): Uint8Array;
}

/** A target in an array of its own, with mfn = pfn + `firstMfn`: for tests and for looking at what a build does. */
export class ArrayTarget implements BuildTarget {
  readonly bytes: Uint8Array;

  constructor(
    readonly pages: number,
    readonly firstMfn = 0,
  ) {
    this.bytes = new Uint8Array(pages * 4096);
  }

  p2m(pfn: number): number {
    return pfn + this.firstMfn;
  }

  pageBytes(pfn: number): Uint8Array {
    if (!Number.isInteger(pfn) || pfn < 0 || pfn >= this.pages) {
      throw new RangeError(`pfn ${pfn} is outside of the domain's ${this.pages} pages`);
    }
    return this.bytes.subarray(pfn * 4096, (pfn + 1) * 4096);
  }
}

/** Writes bytes that may cross pages; the rest of the pages stays as it is. */
export function writeBytes(target: BuildTarget, pfn: number, offset: number, bytes: Uint8Array): void {
  let page = pfn + Math.floor(offset / 4096);
  let at = offset % 4096;
  for (let done = 0; done < bytes.length; page++, at = 0) {
    const count = Math.min(4096 - at, bytes.length - done);
    target.pageBytes(page).set(bytes.subarray(done, done + count), at);
    done += count;
  }
}

/** Clears whole pages. */
export function clearPages(target: BuildTarget, pfn: number, count: number): void {
  for (let i = 0; i < count; i++) target.pageBytes(pfn + i).fill(0);
}
