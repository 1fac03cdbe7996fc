import { type BlockDevice, blockBackend } from '@xenolith/blkback';
import type { Guest } from '@xenolith/guest-api';
import type { Logger } from '@xenolith/host-interface';
import { serveBackends } from '@xenolith/xenbus';
import type { Disk } from './disk.js';

/** blkback in native domain 0: serves the disks that the toolstack has told it of. */
export class BlockService {
  /** Disks by their backend's directory. */
  private readonly disks = new Map<string, Disk>();

  constructor(dom0: Guest, log: Logger) {
    serveBackends(
      dom0,
      blockBackend(dom0, {
        log,
        open: async (end): Promise<BlockDevice | undefined> => this.disks.get(end.identity.path)?.device,
        // They belong to the toolstack, which keeps them over reboots.
        release: async () => {},
      }),
      { log },
    );
  }

  add(domid: number, disk: Disk): void {
    this.disks.set(disk.backendPath(domid), disk);
  }

  remove(domid: number, disk: Disk): void {
    this.disks.delete(disk.backendPath(domid));
  }
}
