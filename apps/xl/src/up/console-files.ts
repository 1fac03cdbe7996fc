import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { BadInputError } from '@xenolith/host-interface';
import type { Guest } from './guests.js';

/** Writes each guest's console to a file of its own, `NAME.console.log`, from the guest's creation on. */
export class ConsoleFiles {
  /**
   * @param tell says that a file cannot be written any more
   * @throws BadInputError
   */
  constructor(
    private readonly directory: string,
    private readonly tell: (text: string) => void,
  ) {
    try {
      mkdirSync(directory, { recursive: true });
    } catch (error) {
      throw new BadInputError(`No consoles can be written to ${directory}: ${(error as Error).message}.`);
    }
  }

  /** @throws BadInputError */
  add({ domain, console }: Guest): void {
    // A name may hold what would be another directory.
    const path = join(this.directory, `${domain.name.replace(/[^\w.@+-]/g, '_')}.console.log`);
    let file: number;
    try {
      file = openSync(path, 'w');
    } catch (error) {
      throw new BadInputError(
        `The console of "${domain.name}" cannot be written: ${(error as Error).message}.`,
      );
    }
    const unfollow = console.follow({
      write: (bytes) => {
        try {
          for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
        } catch (error) {
          // The disk is full, say: the guest goes on without it.
          unfollow();
          closeSync(file);
          this.tell(`${path} is not written any more: ${(error as Error).message}`);
        }
      },
      ended: () => closeSync(file),
    });
  }
}
