import { isAbsolute, join } from 'node:path';
import { type DomainConfig, loadKernel, parseXlConfig, type XlConfig } from '@xenolith/host';
import { BadInputError } from '@xenolith/host-interface';
import type { DeviceSpecs } from '../devices.js';
import { diskWarnings } from '../disks.js';
import { readInput } from '../files.js';
import { cacheDirectory, fileKernelCache } from '../kernel-cache.js';

/** A guest as an xl.cfg file describes it, with the kernel and ramdisk that it names. */
export interface GuestFile {
  /** What messages call the file. */
  readonly file: string;
  readonly config: DomainConfig & { readonly name: string; readonly memoryMiB: number };
  /** Opened when the guest is made. */
  readonly devices: DeviceSpecs;
  readonly warnings: readonly string[];
}

/** Reads guests for one host: a kernel that several use is loaded once. */
export class GuestFiles {
  private readonly kernels = new Map<string, DomainConfig['kernel']>();

  /** @throws BadInputError */
  read(path: string): GuestFile {
    return this.parse(new TextDecoder().decode(readInput(path, 'configuration')), path, process.cwd());
  }

  /**
   * @param directory where relative paths in the text begin
   * @throws BadInputError
   */
  parse(text: string, file: string, directory: string): GuestFile {
    const xl = parseXlConfig(text, file);
    const path = (named: string): string => (isAbsolute(named) ? named : join(directory, named));
    try {
      const ramdisk = xl.ramdisk === undefined ? undefined : readInput(path(xl.ramdisk), 'ramdisk');
      const config = { ...settings(xl), kernel: this.kernel(path(xl.kernel)), kernelPath: xl.kernel };
      if (ramdisk) Object.assign(config, { ramdisk, ramdiskPath: xl.ramdisk });
      const { disks, vifs } = xl;
      const warnings = [...xl.warnings, ...disks.flatMap((disk) => diskWarnings(disk))];
      return { file, config, devices: { disks, vifs, directory }, warnings };
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
  const { onPoweroff, onReboot, onCrash, onWatchdog, onSoftReset, maxEventChannels, driverDomain } = xl;
  return {
    ...{ name, memoryMiB, maxMemoryMiB, vcpus, maxVcpus },
    ...{ onPoweroff, onReboot, onCrash, onWatchdog, onSoftReset },
    ...(uuid !== undefined && { uuid }),
    ...(cmdline !== undefined && { cmdline }),
    ...(cpuWeight !== undefined && { weight: cpuWeight }),
    ...(cap !== undefined && { cap }),
    ...(driverDomain !== undefined && { driverDomain }),
    ...(maxEventChannels !== undefined && { maxEventPort: maxEventChannels }),
    grants: {
      ...(xl.maxGrantFrames !== undefined && { maxFrames: xl.maxGrantFrames }),
      ...(xl.maxMaptrackFrames !== undefined && { maxMaptrackFrames: xl.maxMaptrackFrames }),
      ...(xl.maxGrantVersion !== undefined && { maxVersion: xl.maxGrantVersion }),
    },
  };
}
