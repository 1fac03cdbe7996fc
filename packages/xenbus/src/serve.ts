import type { Guest } from '@xenolith/guest-api';
import { type Logger, silentLogger } from '@xenolith/host-interface';
import { DOMID_FIRST_RESERVED } from '@xenolith/xen-abi';
import { type BackendDriver, BackendHandshake } from './backend.js';
import { DeviceEnd } from './device-end.js';
import { Directory } from './directory.js';
import { type FrontendDriver, FrontendHandshake } from './frontend.js';
import { Watching } from './watching.js';

/** Devices of one type at work. */
export interface ServedDevices {
  /** Ends them all as if they were unplugged, and watches no longer. */
  stop(): Promise<void>;
}

export interface ServeOptions {
  log?: Logger;
}

/**
 * Serves every device that a toolstack makes under `backend/TYPE/DOMID/ID` of the guest's home, from its appearance to
 * its end. What goes wrong with one device concerns only that one.
 */
export function serveBackends(
  guest: Guest,
  driver: BackendDriver,
  options: ServeOptions = {},
): ServedDevices {
  return new DeviceServer(guest, options.log ?? silentLogger, {
    type: driver.type,
    root: `/local/domain/${guest.domid}/backend/${driver.type}`,
    depth: 2,
    link: 'frontend',
    handshake: (end) => new BackendHandshake(end, driver),
  });
}

/** Serves every device that a toolstack makes under `device/TYPE/ID` of the guest's home. */
export function serveFrontends(
  guest: Guest,
  driver: FrontendDriver,
  options: ServeOptions = {},
): ServedDevices {
  return new DeviceServer(guest, options.log ?? silentLogger, {
    type: driver.type,
    root: `/local/domain/${guest.domid}/device/${driver.type}`,
    depth: 1,
    link: 'backend',
    handshake: (end) => new FrontendHandshake(end, driver),
  });
}

interface Handshake {
  poke(): void;
  ownChanged(name: string): void;
  remove(): Promise<void>;
}

interface Side {
  type: string;
  /** Directory below which the devices' directories are. */
  root: string;
  /** How many levels below. */
  depth: 1 | 2;
  /** Node that names the other end's directory; `-id` behind it: the node that names its domain. */
  link: 'frontend' | 'backend';
  handshake(end: DeviceEnd): Handshake;
}

interface Entry {
  otherPath: string;
  handshake: Handshake;
  otherWatch: Watching;
}

class DeviceServer implements ServedDevices {
  private readonly devices = new Map<string, Entry>();
  private readonly watching: Watching;
  /** Changes are looked at one after the other, so that a device is never made twice. */
  private last: Promise<void> = Promise.resolve();
  /** Devices that are gone, but still let go of what they have, by path. */
  private readonly leaving = new Map<string, Promise<void>>();
  private stopped = false;

  constructor(
    private readonly guest: Guest,
    private readonly log: Logger,
    private readonly side: Side,
  ) {
    this.watching = new Watching(guest.xenstore, side.root, log, (path) => this.enqueue(path));
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.watching.close();
    await this.last;
    for (const path of [...this.devices.keys()]) this.drop(path);
    await Promise.all(this.leaving.values());
  }

  private enqueue(path: string): void {
    this.last = this.last
      .then(() => this.changed(path))
      .catch((error: unknown) => this.log.log('error', 'xenbus', `${path}: ${String(error)}.`));
  }

  private async changed(path: string): Promise<void> {
    const { root, depth } = this.side;
    const parts = path
      .slice(root.length + 1)
      .split('/')
      .filter(Boolean);
    // A directory above the devices: some of them may have come or gone.
    if (parts.length < depth) return this.rescan();
    const device = `${root}/${parts.slice(0, depth).join('/')}`;
    await this.look(device);
    this.devices.get(device)?.handshake.ownChanged(parts.slice(depth).join('/'));
  }

  private async rescan(): Promise<void> {
    const { root, depth } = this.side;
    const tree = new Directory(this.guest.xenstore, root);
    for (const first of await tree.list('')) {
      if (depth === 1) await this.look(`${root}/${first}`);
      else for (const second of await tree.list(first)) await this.look(`${root}/${first}/${second}`);
    }
    for (const path of [...this.devices.keys()]) await this.look(path);
  }

  /** Makes the device of a directory known, or forgets it, as the store now says. */
  private async look(path: string): Promise<void> {
    const { link, type } = this.side;
    const directory = new Directory(this.guest.xenstore, path);
    const otherPath = await directory.find(link);
    const known = this.devices.get(path);
    if (known?.otherPath === otherPath) return;
    if (known) this.drop(path);
    if (this.stopped || this.leaving.has(path)) return;
    // Nothing there, or a toolstack that is still writing: another event follows then.
    if (otherPath === undefined || (await directory.find(`${link}-id`)) === undefined) return;
    const otherId = await directory.number(`${link}-id`, DOMID_FIRST_RESERVED - 1);
    const identity = { type, id: path.slice(path.lastIndexOf('/') + 1), path, otherPath, otherId };
    const handshake = this.side.handshake(new DeviceEnd(this.guest, identity, this.log));
    const otherWatch = new Watching(this.guest.xenstore, `${otherPath}/state`, this.log, () =>
      handshake.poke(),
    );
    this.devices.set(path, { otherPath, handshake, otherWatch });
  }

  /** A device that is busy is not waited for: others come and go meanwhile. */
  private drop(path: string): void {
    const entry = this.devices.get(path);
    if (!entry) return;
    this.devices.delete(path);
    const leave = async () => {
      await entry.otherWatch.close();
      await entry.handshake.remove();
    };
    const left = leave()
      .catch((error: unknown) => this.log.log('error', 'xenbus', `${path}: ${String(error)}.`))
      .then(() => {
        this.leaving.delete(path);
        // The toolstack may have made another device there.
        this.enqueue(path);
      });
    this.leaving.set(path, left);
  }
}
