import { join } from 'node:path';
import { loadKernel } from '@xenolith/host';
import { readInput } from '../files.js';
import { cacheDirectory, fileKernelCache } from '../kernel-cache.js';
import { type RunOptions, runGuest } from '../run-guest.js';

export interface RunCommandOptions extends RunOptions {
  ramdisk?: string;
  cmdline?: string;
}

/** `xenolith run KERNEL` */
export async function runCommand(path: string, options: RunCommandOptions): Promise<number> {
  const file = readInput(path, 'kernel');
  const ramdisk = options.ramdisk === undefined ? undefined : readInput(options.ramdisk, 'ramdisk');
  const directory = cacheDirectory();
  const cache = directory === undefined ? undefined : fileKernelCache(join(directory, 'kernels'));
  return runGuest(
    {
      kernel: loadKernel(file, cache && { cache }),
      kernelPath: path,
      ...(options.cmdline !== undefined && { cmdline: options.cmdline }),
      ...(ramdisk && { ramdisk, ramdiskPath: options.ramdisk! }),
    },
    options,
  );
}
