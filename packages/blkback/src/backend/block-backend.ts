import type { Guest } from '@xenolith/guest-api';
import { type Logger, silentLogger } from '@xenolith/host-interface';
import { BackRing } from '@xenolith/shared-ring';
import {
  type Abi,
  VDISK_CDROM,
  VDISK_READONLY,
  VDISK_REMOVABLE,
  XEN_IO_PROTO_ABI_X86_32,
  XEN_IO_PROTO_ABI_X86_64,
  x86_32,
  x86_64,
} from '@xenolith/xen-abi';
import {
  type BackendDevice,
  type BackendDriver,
  type DeviceEnd,
  GrantedPages,
  XenbusError,
} from '@xenolith/xenbus';
import { slotSize } from '../codec/index.js';
import type { BlockDevice } from '../devices/block-device.js';
import { Disk } from './disk.js';
import { GrantCache } from './grant-cache.js';
import { BlockQueue } from './queue.js';

export interface BlockBackendOptions {
  /**
   * What is behind a disk, from what the toolstack wrote into its directory (`params`, `mode`). Asked when a disk appears,
   * and again when `params` changes (another medium, another size). undefined: an empty drive.
   */
  open(end: DeviceEnd): Promise<BlockDevice | undefined>;
  /** The device is used no longer. Default: closes it. */
  release?(device: BlockDevice): Promise<void>;
  log?: Logger;
  /** Rings that a frontend may use for one disk. Default 4. */
  maxQueues?: number;
  /** Largest ring, 2^n pages. Default 4. */
  maxRingPageOrder?: number;
  /** Segments of an indirect request, at most 4096; 0 switches them off. Default 256: 1 MiB. */
  maxIndirectSegments?: number;
  /** Grants of a frontend that stay mapped; 0 switches persistent grants off. Default 1056. */
  maxPersistentGrants?: number;
  /** System time that a request takes at least, in nanoseconds, under a virtual clock. Default 50,000. */
  latencyNs?: number;
  /** Bytes of a sector, where the frontend can have other sectors than 512. Default 512. */
  sectorSize?: number;
}

const DEFAULTS = {
  log: silentLogger,
  maxQueues: 4,
  maxRingPageOrder: 4,
  maxIndirectSegments: 256,
  maxPersistentGrants: 1056,
  latencyNs: 50_000,
  sectorSize: 512,
  async release(device: BlockDevice): Promise<void> {
    await device.close?.();
  },
} satisfies Partial<BlockBackendOptions>;

type Settings = Required<BlockBackendOptions>;

/** The backend of block devices (`vbd`): to be given to `serveBackends`. */
export function blockBackend(guest: Guest, options: BlockBackendOptions): BackendDriver {
  const settings: Settings = { ...DEFAULTS, ...options };
  return {
    type: 'vbd',
    async probe(end) {
      const disk = new BlockBackendDevice(guest, end, settings);
      await disk.publish();
      return disk;
    },
  };
}

interface Connection {
  pages: GrantedPages;
  port: number;
  grants: GrantCache;
  queue: BlockQueue;
}

/** One disk of one frontend. */
class BlockBackendDevice implements BackendDevice {
  private device: BlockDevice | undefined;
  private disk: Disk | undefined;
  private readonly connections: Connection[] = [];

  constructor(
    private readonly guest: Guest,
    private readonly end: DeviceEnd,
    private readonly settings: Settings,
  ) {}

  /** Opens the device and offers what this backend can do. */
  async publish(): Promise<void> {
    const { end, settings } = this;
    this.device = await settings.open(end);
    const canDiscard = this.device?.discard !== undefined && (await end.own.find('discard-enable')) !== '0';
    await end.own.write({
      'feature-flush-cache': 1,
      'feature-barrier': 1,
      'feature-persistent': settings.maxPersistentGrants > 0 ? 1 : 0,
      'max-ring-page-order': settings.maxRingPageOrder,
      'max-ring-pages': 2 ** settings.maxRingPageOrder,
      'multi-queue-max-queues': settings.maxQueues,
      ...(settings.maxIndirectSegments > 0 && {
        'feature-max-indirect-segments': settings.maxIndirectSegments,
      }),
      ...(canDiscard && {
        'feature-discard': 1,
        'discard-alignment': 0,
        'discard-granularity': 4096,
        'discard-secure': 0,
      }),
    });
  }

  async connect(): Promise<void> {
    const { end, settings, device } = this;
    const { other } = end;
    const abi = await this.readAbi();
    const queues = (await other.findNumber('multi-queue-num-queues', settings.maxQueues)) ?? 1;
    if (queues === 0) throw new XenbusError('EINVAL', `${other.path} asks for no queue at all`);
    const order = (await other.findNumber('ring-page-order', settings.maxRingPageOrder)) ?? 0;
    const keep = (await other.flag('feature-persistent')) ? settings.maxPersistentGrants : 0;
    const largeSectors = await other.flag('feature-large-sector-size');
    const disk = new Disk(
      {
        name: end.name,
        readonly: (await end.own.find('mode')) !== 'w',
        sectorSize: largeSectors ? settings.sectorSize : 512,
        maxIndirectSegments: settings.maxIndirectSegments,
        latencyNs: settings.latencyNs,
        log: settings.log,
      },
      device,
    );
    this.disk = disk;
    for (let i = 0; i < queues; i++) {
      await this.connectQueue(queues > 1 ? `queue-${i}/` : '', order, abi, disk, Math.ceil(keep / queues));
    }
    await this.publishProperties(disk, largeSectors);
  }

  async disconnect(): Promise<void> {
    for (const { pages, port, grants, queue } of this.connections.splice(0)) {
      queue.close();
      this.guest.eventChannels.close(port);
      grants.close();
      pages.unmap();
    }
    this.disk = undefined;
  }

  /** `params`: another medium, or none. */
  async changed(name: string): Promise<void> {
    if (name !== 'params') return;
    const old = this.device;
    this.device = await this.settings.open(this.end);
    if (old === this.device) return this.resized();
    if (this.disk) this.disk.device = this.device;
    if (old) await this.settings.release(old);
    await this.resized();
  }

  async remove(): Promise<void> {
    if (this.device) await this.settings.release(this.device);
    this.device = undefined;
  }

  private async readAbi(): Promise<Abi> {
    const protocol = (await this.end.other.find('protocol')) ?? XEN_IO_PROTO_ABI_X86_64;
    if (protocol === XEN_IO_PROTO_ABI_X86_64) return x86_64;
    if (protocol === XEN_IO_PROTO_ABI_X86_32) return x86_32;
    throw new XenbusError(
      'EINVAL',
      `${this.end.other.path}/protocol is ${JSON.stringify(protocol.slice(0, 40))}`,
    );
  }

  private async connectQueue(
    prefix: string,
    order: number,
    abi: Abi,
    disk: Disk,
    keep: number,
  ): Promise<void> {
    const { end, guest } = this;
    const refs: number[] = [];
    if (order === 0) refs.push(await ringRef(end, prefix));
    else for (let i = 0; i < 2 ** order; i++) refs.push(await end.other.number(`${prefix}ring-ref${i}`));
    const remotePort = await end.other.number(`${prefix}event-channel`);
    const pages = GrantedPages.map(guest.grants, end.otherId, refs);
    const port = guest.eventChannels.bindInterdomain(end.otherId, remotePort);
    if (port < 0) {
      pages.unmap();
      throw new XenbusError(
        'EINVAL',
        `event channel ${remotePort} of domain ${end.otherId} cannot be bound: ${port}`,
      );
    }
    const grants = new GrantCache(guest.grants, end.otherId, keep);
    const queue = new BlockQueue({
      disk,
      ring: new BackRing(pages, { slotSize: slotSize(abi), bytes: pages.length }),
      abi,
      grants,
      clock: guest.clock,
      notify: () => void guest.eventChannels.send(port),
      live: () => pages.live,
      onCorrupt: () =>
        void end.fatal(
          new XenbusError('EINVAL', 'the ring’s indices are impossible: the frontend is served no longer'),
        ),
    });
    guest.eventChannels.onEvent(port, () => queue.service());
    this.connections.push({ pages, port, grants, queue });
  }

  private async publishProperties(disk: Disk, largeSectors: boolean): Promise<void> {
    const { end, settings } = this;
    const isCdrom = (await end.other.find('device-type')) === 'cdrom';
    const isRemovable = await end.own.flag('removable');
    const sectorSize = largeSectors ? settings.sectorSize : 512;
    await end.writeIfPresent({
      sectors: disk.sectors,
      info:
        (isCdrom ? VDISK_CDROM : 0) |
        (isRemovable ? VDISK_REMOVABLE : 0) |
        (disk.readonly ? VDISK_READONLY : 0),
      'sector-size': sectorSize,
      'physical-sector-size': Math.max(sectorSize, settings.sectorSize),
    });
  }

  /** Tells a connected frontend how large the disk is now: it looks when the state is written again. */
  private async resized(): Promise<void> {
    if (this.disk) await this.end.writeIfPresent({ sectors: this.disk.sectors, state: this.end.state });
  }
}

/** A ring of one page has one name, or the first name of a longer ring: frontends write either. */
async function ringRef(end: DeviceEnd, prefix: string): Promise<number> {
  return (await end.other.findNumber(`${prefix}ring-ref`)) ?? end.other.number(`${prefix}ring-ref0`);
}
