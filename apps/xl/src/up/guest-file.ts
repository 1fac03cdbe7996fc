import { isAbsolute, join } from 'node:path';
import { type DomainConfig, type Host, loadKernel, parseXlConfig, type XlConfig } from '@xenolith/host';
import { BadInputError } from '@xenolith/host-interface';
import { openDisks } from '../disks.js';
import { readInput } from '../files.js';
import { cacheDirectory, fileKernelCache } from '../kernel-cache.js';
import { vifConfig } from '../vifs.js';

/** A guest as an xl.cfg file describes it, with what the files hold that it names. */
export interface GuestFile {
  readonly config: DomainConfig & { readonly name: string; readonly memoryMiB: number };
  readonly warnings: readonly string[];
}

/** Reads guests for one host: a kernel that several use is loaded once. */
export class GuestFiles {
  private readonly kernels = new Map<string, DomainConfig['kernel']>();

  /** @throws BadInputError */
  async read(path: string): Promise<GuestFile> {
    return this.parse(new TextDecoder().decode(readInput(path, 'configuration')), path, process.cwd());
  }

  /**
   * @param directory where relative paths in the text begin
   * @param host where the guest will live, if it runs already: for devices of other domains
   * @throws BadInputError
   */
  async parse(text: string, file: string, directory: string, host?: Host): Promise<GuestFile> {
    const xl = parseXlConfig(text, file);
    const path = (named: string): string => (isAbsolute(named) ? named : join(directory, named));
    try {
      const ramdisk = xl.ramdisk === undefined ? undefined : readInput(path(xl.ramdisk), 'ramdisk');
      const config = { ...settings(xl), kernel: this.kernel(path(xl.kernel)), kernelPath: xl.kernel };
      if (ramdisk) Object.assign(config, { ramdisk, ramdiskPath: xl.ramdisk });
      if (xl.disks.length > 0) Object.assign(config, { disks: await openDisks(xl.disks, host, directory) });
      if (xl.vifs.length > 0) Object.assign(config, { vifs: xl.vifs.map((vif) => vifConfig(vif, host)) });
      return { config, warnings: xl.warnings };
    } catch (error) {
      if (!(error instanceof BadInputError)) throw error;
      throw new BadInputError(`${file}: ${error.message}`);
    }
  }

  private kernel(path: string): DomainConfig['kernel'] {
    const known = this.kernels.get(path);
    if (known) return known;
    const directory = cacheDirectory();
    const cache = directory === undefined ? {} : { cache: fileKernelCache(join(directory, 'kernels')) };
    const kernel = loadKernel(readInput(path, 'kernel'), cache);
    this.kernels.set(path, kernel);
    return kernel;
  }
}

function settings(xl: XlConfig) {
  const { name, uuid, cmdline, memoryMiB, maxMemoryMiB, vcpus, maxVcpus, cpuWeight, cap } = xl;
  const { onPoweroff, onReboot, onCrash, onWatchdog, onSoftReset, maxEventChannels } = xl;
  return {
    ...{ name, memoryMiB, maxMemoryMiB, vcpus, maxVcpus },
    ...{ onPoweroff, onReboot, onCrash, onWatchdog, onSoftReset },
    ...(uuid !== undefined && { uuid }),
    ...(cmdline !== undefined && { cmdline }),
    ...(cpuWeight !== undefined && { weight: cpuWeight }),
    ...(cap !== undefined && { cap }),
    ...(maxEventChannels !== undefined && { maxEventPort: maxEventChannels }),
    grants: {
      ...(xl.maxGrantFrames !== undefined && { maxFrames: xl.maxGrantFrames }),
      ...(xl.maxMaptrackFrames !== undefined && { maxMaptrackFrames: xl.maxMaptrackFrames }),
      ...(xl.maxGrantVersion !== undefined && { maxVersion: xl.maxGrantVersion }),
    },
  };
}
