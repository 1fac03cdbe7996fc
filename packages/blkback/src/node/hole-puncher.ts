import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

let supported: Promise<boolean> | undefined;

/** Whether this machine has fallocate(1) of util-linux: Node itself cannot free a part of a file. */
export function canPunchHoles(): Promise<boolean> {
  supported ??= run('fallocate', ['--version']).then(
    ({ stdout }) => stdout.includes('util-linux'),
    () => false,
  );
  return supported;
}

interface Hole {
  offset: number;
  length: number;
}

/**
 * Frees ranges of a file, which then read as zeros. One process serves all ranges that lie side by side and came while the
 * one before was running, for guests discard in small pieces.
 */
export class HolePuncher {
  private waiting: Hole[] = [];
  private running: Promise<void> | undefined;

  constructor(private readonly path: string) {}

  /** Resolves when the range is free. */
  async punch(offset: number, length: number): Promise<void> {
    this.waiting.push({ offset, length });
    // What is being punched now was collected before this range came.
    await this.running?.catch(() => {});
    if (this.waiting.length > 0) this.running = this.punchAll();
    return this.running;
  }

  private async punchAll(): Promise<void> {
    const holes = merge(this.waiting);
    this.waiting = [];
    for (const { offset, length } of holes) {
      await run('fallocate', ['--punch-hole', '--offset', `${offset}`, '--length', `${length}`, this.path]);
    }
  }
}

/** Ranges that touch become one. */
function merge(holes: readonly Hole[]): Hole[] {
  const merged: Hole[] = [];
  for (const { offset, length } of [...holes].sort((a, b) => a.offset - b.offset)) {
    const last = merged.at(-1);
    if (last && offset <= last.offset + last.length) {
      last.length = Math.max(last.length, offset + length - last.offset);
    } else merged.push({ offset, length });
  }
  return merged;
}
