import type { BlockDevice } from '@xenolith/blkback';
import { BadInputError } from '@xenolith/host-interface';
import type { LocalXenstore } from '@xenolith/xenstore';
import type { EventLoop } from '../event-loop.js';
import type { BlockService } from './block-service.js';
import { Disk, type DiskConfig } from './disk.js';
import { eraseDevice, requestRemoval, whenClosed, writeDevice } from './entries.js';

/** How long an unplugged device may take to be let go of, as libxl waits. */
const REMOVAL_MS = 10_000;

/** What the disks of a guest need of its host. */
export interface DiskHost {
  readonly xenstore: { readonly local: LocalXenstore };
  readonly blocks: BlockService;
  readonly eventLoop: EventLoop;
  wake(): void;
}

/** The disks of one guest, over its reboots. */
export class GuestDisks implements Iterable<Disk> {
  private readonly disks = new Map<number, Disk>();
  private domid: number | undefined;

  /** @throws BadInputError if two have the same name, or one has none */
  constructor(
    private readonly host: DiskHost,
    configs: readonly DiskConfig[],
  ) {
    for (const config of configs) this.insert(new Disk(config));
  }

  [Symbol.iterator](): IterableIterator<Disk> {
    return this.disks.values();
  }

  /** The guest starts as this domain. */
  start(domid: number): void {
    this.domid = domid;
    for (const disk of this) this.plug(disk, domid);
  }

  /** That domain is about to go, or to be kept without its disks. */
  stop(domid: number): void {
    if (this.domid !== domid) return;
    this.domid = undefined;
    for (const disk of this) this.erase(disk, domid);
  }

  /** The guest has ended for good. */
  async close(): Promise<void> {
    const disks = [...this];
    this.disks.clear();
    await Promise.allSettled(disks.map((disk) => disk.close()));
  }

  /** Plugs a disk in, also while the guest runs. @throws BadInputError */
  attach(config: DiskConfig): Disk {
    const disk = new Disk(config);
    this.insert(disk);
    if (this.domid !== undefined) this.plug(disk, this.domid);
    this.host.wake();
    return disk;
  }

  /**
   * Unplugs a disk: asks the guest to let go of it, and removes it when it has.
   * @param force removes it at once, whatever the guest does with it
   * @throws BadInputError if there is none, or if the guest does not let go within ten seconds; then it stays plugged in
   */
  async detach(vdev: string, { force = false }: { force?: boolean } = {}): Promise<void> {
    const disk = this.get(vdev);
    const { domid, host } = this;
    const { local } = host.xenstore;
    if (domid !== undefined && !force) {
      const closed = whenClosed(local, disk.spec(domid), host.eventLoop, REMOVAL_MS);
      requestRemoval(local, disk.spec(domid));
      host.wake();
      if (!(await closed)) {
        throw new BadInputError(
          `The guest does not let go of ${vdev}: it may be in use. Detach it by force, or try later.`,
        );
      }
    }
    if (!this.disks.delete(disk.id)) return;
    if (domid !== undefined && domid === this.domid) this.erase(disk, domid);
    await disk.close();
  }

  /** Puts another medium into a drive, or none. The one before is closed. @throws BadInputError */
  changeMedium(vdev: string, device: BlockDevice | undefined, params = device ? vdev : ''): void {
    const disk = this.get(vdev);
    if (!disk.config.cdrom) throw new BadInputError(`${vdev} is no drive whose medium can be changed.`);
    const before = disk.device;
    disk.device = device;
    disk.params = params;
    this.announce(disk);
    if (before !== device) void before?.close?.();
  }

  /** Tells the guest that a disk's device has another size now. @throws BadInputError */
  resized(vdev: string): void {
    this.announce(this.get(vdev));
  }

  /** @throws BadInputError if there is none of this name */
  get(vdev: string): Disk {
    const wanted = new Disk({ vdev });
    const disk = this.disks.get(wanted.id);
    if (!disk) throw new BadInputError(`The guest has no disk ${vdev}.`);
    return disk;
  }

  private insert(disk: Disk): void {
    if (this.disks.has(disk.id)) throw new BadInputError(`The guest has a disk ${disk.vdev} already.`);
    this.disks.set(disk.id, disk);
  }

  private plug(disk: Disk, domid: number): void {
    if (disk.config.backendId === undefined) this.host.blocks.add(domid, disk);
    writeDevice(this.host.xenstore.local, disk.spec(domid));
  }

  private erase(disk: Disk, domid: number): void {
    eraseDevice(this.host.xenstore.local, disk.spec(domid));
    this.host.blocks.remove(domid, disk);
  }

  /** The backend looks again when `params` is written. */
  private announce(disk: Disk): void {
    if (this.domid === undefined) return;
    this.host.xenstore.local.write(`${disk.backendPath(this.domid)}/params`, disk.params);
    this.host.wake();
  }
}
