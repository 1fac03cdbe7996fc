import type { BlockDevice } from '@xenolith/blkback';
import { BadInputError } from '@xenolith/host-interface';
import type { BlockService } from './block-service.js';
import { Disk, type DiskConfig } from './disk.js';
import { type DeviceHost, GuestDevices } from './guest-devices.js';

/** What the disks of a guest need of its host. */
export interface DiskHost extends DeviceHost {
  readonly blocks: BlockService;
}

/** The disks of one guest. */
export class GuestDisks extends GuestDevices<Disk> {
  private readonly blocks: BlockService;

  /** @throws BadInputError if two have the same name, or one has none */
  constructor(host: DiskHost, configs: readonly DiskConfig[]) {
    super(host);
    this.blocks = host.blocks;
    for (const config of configs) this.insert(new Disk(config));
  }

  /** Plugs a disk in, also while the guest runs. @throws BadInputError */
  attach(config: DiskConfig): Disk {
    return this.add(new Disk(config));
  }

  /**
   * Unplugs a disk: asks the guest to let go of it, and removes it when it has.
   * @param force removes it at once, whatever the guest does with it
   * @throws BadInputError if there is none, or if the guest does not let go within ten seconds; then it stays plugged in
   */
  async detach(vdev: string, { force = false }: { force?: boolean } = {}): Promise<void> {
    await this.remove(this.get(vdev), force);
  }

  /** Puts another medium into a drive, or none. The one before is closed. @throws BadInputError */
  changeMedium(vdev: string, device: BlockDevice | undefined, params = device ? vdev : ''): void {
    const disk = this.own(vdev);
    if (!disk.config.cdrom) throw new BadInputError(`${vdev} is no drive whose medium can be changed.`);
    const before = disk.device;
    disk.device = device;
    disk.params = params;
    this.announce(disk);
    if (before !== device) void before?.close?.();
  }

  /**
   * Tells the guest how large a disk's device is now.
   * @returns bytes
   * @throws BadInputError if there is no such disk, nothing in it, or the size is none
   */
  async resized(vdev: string): Promise<number> {
    const disk = this.own(vdev);
    const { device } = disk;
    if (!device) throw new BadInputError(`There is nothing in ${vdev} that could have a size.`);
    try {
      await device.refreshSize?.();
    } catch (error) {
      throw new BadInputError(`${vdev} keeps its size: ${(error as Error).message}.`);
    }
    this.announce(disk);
    return device.size;
  }

  /** @throws BadInputError if there is none of this name */
  get(vdev: string): Disk {
    const disk = this.find(new Disk({ vdev }).id);
    if (!disk) throw new BadInputError(`The guest has no disk ${vdev}.`);
    return disk;
  }

  /** One that domain 0 serves. @throws BadInputError */
  private own(vdev: string): Disk {
    const disk = this.get(vdev);
    if (disk.backendId === 0) return disk;
    throw new BadInputError(
      `Domain ${disk.backendId} serves ${vdev}: what is in it can only be changed there.`,
    );
  }

  protected serve(disk: Disk, domid: number): void {
    if (disk.backendId === 0) this.blocks.add(domid, disk);
  }

  protected forsake(disk: Disk, domid: number): void {
    this.blocks.remove(domid, disk);
  }

  /** The backend looks again when `params` is written. */
  private announce(disk: Disk): void {
    if (this.domid === undefined) return;
    this.host.xenstore.local.write(`${disk.backendPath(this.domid)}/params`, disk.params);
    this.host.wake();
  }
}
