import { readFileSync, statSync } from 'node:fs';
import { BadInputError } from '@xenolith/host-interface';

const REASONS: Record<string, string> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a directory',
  ENOTDIR: 'there is no such file',
  ELOOP: 'its links go round in a circle',
  ENAMETOOLONG: 'its name is too long',
  ERR_FS_FILE_TOO_LARGE: 'it is too large',
};

/** Reads a whole input file. @param what names it in the error, as in `kernel` @throws BadInputError */
export function readInput(path: string, what: string): Uint8Array {
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) throw new BadInputError(`Cannot read the ${what} ${path}: it is a directory.`);
    // A pipe (`<(…)` of a shell) has an end; a device may have none.
    if (!stat.isFile() && !stat.isFIFO())
      throw new BadInputError(`Cannot read the ${what} ${path}: it is no file.`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof BadInputError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new BadInputError(`Cannot read the ${what} ${path}: ${REASONS[code ?? ''] ?? message}.`);
  }
}
