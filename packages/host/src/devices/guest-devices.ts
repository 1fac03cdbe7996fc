import { BadInputError } from '@xenolith/host-interface';
import type { DeviceSpec } from '@xenolith/xenbus';
import type { LocalXenstore } from '@xenolith/xenstore';
import type { EventLoop } from '../event-loop.js';
import {
  eraseBackend,
  eraseDevice,
  forceRemoval,
  isClosed,
  isGone,
  requestRemoval,
  whenBackend,
  writeDevice,
} from './entries.js';

/** How long an unplugged device may take to be let go of, as libxl waits. */
const REMOVAL_MS = 10_000;

/** What the devices of a guest need of its host. */
export interface DeviceHost {
  readonly xenstore: { readonly local: LocalXenstore };
  readonly eventLoop: EventLoop;
  /** The number of the domain with this number or name; undefined: there is none. */
  domidOf(which: string | number): number | undefined;
  wake(): void;
}

/** A device plugged into a guest. */
export interface GuestDevice {
  /** Its number among the guest's devices of the kind. */
  readonly id: number;
  /** For messages: `disk xvda`. */
  readonly title: string;
  /** What is known of the domain that serves it. */
  readonly config: { readonly backend?: string | number };
  /** That domain's number now: another one after its restart, for a device that is plugged in anew. */
  backendId: number;
  /** What the toolstack writes for it. */
  spec(domid: number): DeviceSpec;
  /** The guest does not have it any more. */
  close(): Promise<void>;
}

/** The devices of one kind that a guest has, over its reboots. */
export abstract class GuestDevices<T extends GuestDevice> implements Iterable<T> {
  private readonly devices = new Map<number, T>();
  /** The guest's domain now; undefined when there is none. */
  protected domid: number | undefined;

  constructor(protected readonly host: DeviceHost) {}

  [Symbol.iterator](): IterableIterator<T> {
    return this.devices.values();
  }

  /** Looks again which domains serve the devices, before a start. @throws BadInputError if one is not there */
  resolve(): void {
    for (const device of this) device.backendId = this.backendOf(device);
  }

  /** The guest starts as this domain. */
  start(domid: number): void {
    this.domid = domid;
    for (const device of this) this.plug(device, domid);
  }

  /** That domain is about to go, or to be kept without its devices. */
  stop(domid: number): void {
    if (this.domid !== domid) return;
    this.domid = undefined;
    for (const device of this) {
      if (device.backendId === 0) this.erase(device, domid);
      else void this.abandon(device.spec(domid));
    }
  }

  /** The guest has ended for good. */
  async close(): Promise<void> {
    const devices = [...this];
    this.devices.clear();
    await Promise.allSettled(devices.map((device) => device.close()));
  }

  /** The backend of domain 0 is to serve the device, if it is that one's. */
  protected abstract serve(device: T, domid: number): void;

  /** And is not to serve it any more. */
  protected abstract forsake(device: T, domid: number): void;

  protected find(id: number): T | undefined {
    return this.devices.get(id);
  }

  /** @throws BadInputError if there is one of this number already */
  protected insert(device: T): T {
    if (this.devices.has(device.id)) throw new BadInputError(`The guest has a ${device.title} already.`);
    device.backendId = this.backendOf(device);
    this.devices.set(device.id, device);
    return device;
  }

  /** Plugs a device in, also while the guest runs. @throws BadInputError */
  protected add(device: T): T {
    this.insert(device);
    if (this.domid !== undefined) this.plug(device, this.domid);
    this.host.wake();
    return device;
  }

  /** Asks the guest to let go of a device, and removes it when it has; by force whatever it does. @throws BadInputError */
  protected async remove(device: T, force: boolean): Promise<void> {
    const { domid } = this;
    if (domid !== undefined) {
      if (!force) await this.askForRemoval(device, domid);
      else if (device.backendId !== 0) await this.abandon(device.spec(domid));
    }
    if (!this.devices.delete(device.id)) return;
    if (domid !== undefined && domid === this.domid) this.erase(device, domid);
    await device.close();
  }

  private backendOf({ title, config: { backend = 0 } }: T): number {
    const domid = this.host.domidOf(backend);
    if (domid === undefined)
      throw new BadInputError(`The ${title} cannot be had: there is no domain "${backend}" to serve it.`);
    return domid;
  }

  private async askForRemoval(device: T, domid: number): Promise<void> {
    const { eventLoop, xenstore } = this.host;
    const spec = device.spec(domid);
    const closed = whenBackend(isClosed, xenstore.local, spec, eventLoop, REMOVAL_MS);
    requestRemoval(xenstore.local, spec);
    this.host.wake();
    if (!(await closed)) {
      throw new BadInputError(
        `The guest does not let go of its ${device.title}: it may be in use. Detach it by force, or try later.`,
      );
    }
    if (device.backendId === 0) return;
    if (!(await whenBackend(isGone, xenstore.local, spec, eventLoop, REMOVAL_MS))) {
      throw new BadInputError(
        `Domain ${device.backendId} does not clear away its end of the ${device.title}, as \`xl devd\` does in a driver domain. Detach it by force, or try later.`,
      );
    }
  }

  /**
   * For a device of a driver domain whose guest is dead or does not matter: the driver domain lets go of it, and clears its
   * end away. If it does not, that is done for it.
   */
  private async abandon(spec: DeviceSpec): Promise<void> {
    const { eventLoop, xenstore } = this.host;
    const gone = whenBackend(isGone, xenstore.local, spec, eventLoop, REMOVAL_MS);
    forceRemoval(xenstore.local, spec);
    this.host.wake();
    await gone;
    eraseBackend(xenstore.local, spec);
  }

  private plug(device: T, domid: number): void {
    this.serve(device, domid);
    writeDevice(this.host.xenstore.local, device.spec(domid));
  }

  private erase(device: T, domid: number): void {
    eraseDevice(this.host.xenstore.local, device.spec(domid));
    this.forsake(device, domid);
  }
}
