import type { BlockDevice } from '@xenolith/blkback';
import { parseVdev } from '@xenolith/blkback/codec';
import { BadInputError } from '@xenolith/host-interface';
import { XEN_IO_PROTO_ABI_X86_64 } from '@xenolith/xen-abi';
import { backendPath, type DeviceSpec } from '@xenolith/xenbus';
import type { GuestDevice } from './guest-devices.js';
import { scriptPath } from './scripts.js';

/** A disk of a guest. */
export interface DiskConfig {
  /** Its name in the guest: `xvda`, `sdb1`, `hdc`; or its number (xen-vbd-interface(7)). */
  vdev: string;
  /** What is behind it; the host closes it when the guest has ended or the disk is gone. Absent: an empty drive. */
  device?: BlockDevice;
  /** Default: as the device is. */
  readonly?: boolean;
  /** A CD-ROM drive, whose medium can be changed. Default false. */
  cdrom?: boolean;
  /** Whether the guest may discard, if the device can. Default true. */
  discard?: boolean;
  /** Where the device comes from, for xenstore: what a person sees, or what a driver domain is to open. */
  params?: string;
  /**
   * Name or number of the domain that serves it, if it is not domain 0. Its own blkback opens `params` then, a block device
   * or what `script` makes of it.
   */
  backend?: string | number;
  /** Whether the guest may show the backend pages that hold other data, too. Default true. */
  trusted?: boolean;
  /** Script of that domain that plugs the disk in. Default `/etc/xen/scripts/block`. */
  script?: string;
}

/** A disk plugged into a guest. */
export class Disk implements GuestDevice {
  readonly id: number;
  backendId = 0;
  /** What is in the drive now. */
  device: BlockDevice | undefined;
  params: string;

  /** @throws BadInputError if the name is none */
  constructor(readonly config: DiskConfig) {
    try {
      this.id = parseVdev(config.vdev);
    } catch (error) {
      throw new BadInputError(`The disk cannot be had: ${(error as Error).message}.`);
    }
    this.device = config.device;
    this.params = config.params ?? (config.device ? config.vdev : '');
  }

  get vdev(): string {
    return this.config.vdev;
  }

  get title(): string {
    return `disk ${this.vdev}`;
  }

  /** What libxl writes for a disk (libxl_disk.c). */
  spec(domid: number): DeviceSpec {
    const { cdrom = false, vdev, discard = true, readonly, script, trusted = true } = this.config;
    const { backendId } = this;
    const mode = (readonly ?? this.device?.readonly ?? cdrom) ? 'r' : 'w';
    return {
      type: 'vbd',
      id: this.id,
      frontendId: domid,
      backendId,
      backend: {
        params: this.params,
        ...(backendId !== 0 && { script: scriptPath(script ?? 'block') }),
        type: backendId === 0 ? 'tap' : 'phy',
        mode,
        dev: vdev,
        removable: cdrom ? 1 : 0,
        bootable: 1,
        'discard-enable': discard ? 1 : 0,
        'device-type': cdrom ? 'cdrom' : 'disk',
        specification: 'xen',
      },
      frontend: {
        'virtual-device': this.id,
        'device-type': cdrom ? 'cdrom' : 'disk',
        trusted: trusted ? 1 : 0,
        protocol: XEN_IO_PROTO_ABI_X86_64,
      },
    };
  }

  backendPath(domid: number): string {
    return backendPath(this.spec(domid));
  }

  async close(): Promise<void> {
    await this.device?.close?.();
    this.device = undefined;
  }
}
