import { closeSync, openSync, writeSync } from 'node:fs';
import { type Logger, silentLogger } from '@xenolith/host-interface';
import { Capture, type CaptureOptions } from '../ports/capture.js';

export interface CaptureFileOptions extends Omit<CaptureOptions, 'write'> {
  log?: Logger;
}

/**
 * A capture into a file, which begins anew. Each frame is in it as soon as it has gone by, for those who read along. When the
 * file cannot be written any more (a full disk), that is said once, and the capture ends.
 * @throws Error of the system's when the file cannot be opened
 */
export function captureFile(
  path: string,
  { log = silentLogger, ...options }: CaptureFileOptions,
): { capture: Capture; close(): void } {
  let file: number | undefined = openSync(path, 'w');
  const close = () => {
    if (file !== undefined) closeSync(file);
    file = undefined;
  };
  const write = (bytes: Uint8Array) => {
    try {
      for (let at = 0; file !== undefined && at < bytes.length; ) at += writeSync(file, bytes, at);
    } catch (error) {
      log.log('warn', 'netback', `The capture ${path} ends here: ${(error as Error).message}.`);
      close();
    }
  };
  return { capture: new Capture({ ...options, write }), close };
}
