import type { BlockDevice } from './block-device.js';
import { BlockSet } from './block-set.js';
import { MemoryDevice } from './memory-device.js';

/** Smallest piece that is taken over from the base. */
const BLOCK = 4096;
const COMMITTED_AT_ONCE = 1 << 20;

/**
 * Copy-on-write over any other device: the base is only read, what is written goes into `top` (memory unless another
 * device is given). `commit` writes the changes into the base.
 */
export class OverlayDevice implements BlockDevice {
  readonly readonly = false;
  readonly size: number;
  /** If the upper device can. */
  readonly discard?: (offset: number, length: number) => Promise<void>;
  /** Blocks of 4 KiB that are in `top`, or just being written there. */
  private present = new BlockSet();
  /** Those that came while a commit was running. */
  private since: BlockSet | undefined;
  /** Partial writes of one block take turns, as each reads the rest of it first. */
  private readonly filling = new Map<number, Promise<void>>();
  /** Writes and discards that are not done yet. */
  private readonly changing = new Set<Promise<void>>();
  /** After a commit `top` is emptied: that must not meet a write. */
  private emptying: Promise<void> | undefined;

  constructor(
    private readonly base: BlockDevice,
    private readonly top: BlockDevice = new MemoryDevice(Math.ceil(base.size / 512) * 512),
  ) {
    if (top.size < base.size) throw new RangeError('The upper device is smaller than the one below it.');
    this.size = base.size;
    if (top.discard) this.discard = (offset, length) => this.change(() => this.discardNow(offset, length));
  }

  /** Bytes that differ from the base, in whole blocks. */
  get changed(): number {
    return this.present.size * BLOCK;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const out = new Uint8Array(length);
    for (const { start, end, isPresent } of this.runs(offset, length)) {
      const from = isPresent ? this.top : this.base;
      out.set(await from.read(start, end - start), start - offset);
    }
    return out;
  }

  write(offset: number, data: Uint8Array): Promise<void> {
    return this.change(() => this.writeNow(offset, data));
  }

  async flush(): Promise<void> {
    await this.top.flush();
  }

  async close(): Promise<void> {
    await this.top.close?.();
    await this.base.close?.();
  }

  /**
   * Writes all changes into the base and forgets them. What is written meanwhile stays above it.
   * @throws RangeError if the base is read-only, or a commit is running
   */
  async commit(): Promise<void> {
    if (this.base.readonly)
      throw new RangeError('The device below is read-only: there is nowhere to commit to.');
    if (this.since) throw new RangeError('A commit is running already.');
    this.since = new BlockSet();
    try {
      await Promise.allSettled(this.changing);
      for (const { first, end } of this.present.runs()) {
        const limit = Math.min(end * BLOCK, this.size);
        for (let at = first * BLOCK; at < limit; at += COMMITTED_AT_ONCE) {
          await this.base.write(at, await this.top.read(at, Math.min(limit - at, COMMITTED_AT_ONCE)));
        }
      }
      await this.base.flush();
      this.present = this.since;
    } finally {
      this.since = undefined;
    }
    if (this.present.size > 0 || this.changing.size > 0 || !this.top.discard) return;
    this.emptying = Promise.resolve(this.top.discard(0, this.size)).finally(() => {
      this.emptying = undefined;
    });
    await this.emptying;
  }

  private async change(work: () => Promise<void>): Promise<void> {
    while (this.emptying) await this.emptying;
    const done = work();
    this.changing.add(done);
    return done.finally(() => this.changing.delete(done));
  }

  private async writeNow(offset: number, data: Uint8Array): Promise<void> {
    const end = offset + data.length;
    const first = Math.floor(offset / BLOCK);
    const last = Math.floor((end - 1) / BLOCK);
    if (offset % BLOCK !== 0) await this.fill(first);
    if (end % BLOCK !== 0 && end < this.size) await this.fill(last);
    await this.take(first, last + 1);
    await this.top.write(offset, data);
  }

  private async discardNow(offset: number, length: number): Promise<void> {
    // The base must not shine through, so whole blocks become zeros of our own.
    const first = Math.ceil(offset / BLOCK);
    const end = Math.floor((offset + length) / BLOCK);
    if (end <= first) return;
    await this.take(first, end);
    await this.top.discard?.(first * BLOCK, (end - first) * BLOCK);
  }

  /** Marks blocks as present whose every byte is there, or is about to be written: nobody fills them from now on. */
  private async take(first: number, end: number): Promise<void> {
    for (;;) {
      const running = [...this.filling].find(([block]) => block >= first && block < end);
      if (!running) break;
      await running[1];
    }
    this.present.add(first, end);
    this.since?.add(first, end);
  }

  /** Takes the block over from the base, unless it is here. */
  private fill(block: number): Promise<void> {
    const running = this.filling.get(block);
    if (running) return running;
    if (this.present.has(block)) return Promise.resolve();
    const work = (async () => {
      const start = block * BLOCK;
      await this.top.write(start, await this.base.read(start, Math.min(BLOCK, this.size - start)));
      this.present.add(block);
      this.since?.add(block);
    })().finally(() => this.filling.delete(block));
    this.filling.set(block, work);
    return work;
  }

  /** The range as the longest runs that are all in one of the two devices. */
  private *runs(offset: number, length: number) {
    const end = offset + length;
    for (let start = offset; start < end; ) {
      const isPresent = this.present.has(Math.floor(start / BLOCK));
      let next = (Math.floor(start / BLOCK) + 1) * BLOCK;
      while (next < end && this.present.has(next / BLOCK) === isPresent) next += BLOCK;
      yield { start, end: Math.min(next, end), isPresent };
      start = next;
    }
  }
}
