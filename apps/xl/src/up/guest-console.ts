/** Somebody who follows a guest's console. */
export interface ConsoleFollower {
  write(bytes: Uint8Array): void;
  /** The console takes input again. */
  room?(): void;
  /** The guest has ended for good. */
  ended?(): void;
}

const KEPT_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** The latest output of a console, for those who come later. */
export class RecentOutput {
  private chunks: Uint8Array[] = [];
  private length = 0;
  private cut = false;

  add(bytes: Uint8Array): void {
    this.chunks.push(bytes);
    this.length += bytes.length;
    // Now and then, and not at each piece.
    if (this.length > 2 * KEPT_BYTES) this.trim();
  }

  /** At most 64 KiB; what was cut begins with a whole line. */
  get bytes(): Uint8Array {
    this.trim();
    const [all = new Uint8Array(0)] = this.chunks;
    return this.cut ? all.subarray(all.indexOf(NEWLINE) + 1) : all;
  }

  private trim(): void {
    const all = new Uint8Array(this.length);
    let at = 0;
    for (const chunk of this.chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    this.cut ||= all.length > KEPT_BYTES;
    this.chunks = [all.slice(-KEPT_BYTES)];
    this.length = this.chunks[0]!.length;
  }
}

/** One guest's console, over reboots: what it printed lately, and those who follow it. */
export class GuestConsole {
  readonly recent = new RecentOutput();
  private readonly followers = new Set<ConsoleFollower>();

  /** @returns ends it */
  follow(follower: ConsoleFollower): () => void {
    this.followers.add(follower);
    return () => void this.followers.delete(follower);
  }

  write(bytes: Uint8Array): void {
    this.recent.add(bytes);
    for (const follower of this.followers) follower.write(bytes);
  }

  room(): void {
    for (const follower of this.followers) follower.room?.();
  }

  ended(): void {
    for (const follower of [...this.followers]) follower.ended?.();
    this.followers.clear();
  }
}
