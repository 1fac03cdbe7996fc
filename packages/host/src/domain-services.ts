import { ConsoleBackend } from '@xenolith/console';
import { InvariantError } from '@xenolith/host-interface';
import type { Hypervisor } from '@xenolith/hypervisor-core';
import { GNTTAB_RESERVED_CONSOLE } from '@xenolith/xen-abi';
import type { DomainConfig } from './domain-config.js';
import type { Identity } from './identity.js';
import type { NativeGuest } from './native-guest.js';
import type { XenstoreService } from './xenstore-service.js';
import {
  type DomainEntries,
  moveDomainEntries,
  removeDomainEntries,
  writeDomainEntries,
} from './xenstore-tree.js';

/** What a domain needs of its host. */
export interface ServicesHost {
  readonly hypervisor: Hypervisor;
  readonly dom0: NativeGuest;
  readonly xenstore: XenstoreService;
}

/** Devices of a domain: they come and go with it. */
export interface DomainDevices {
  start(domid: number): void;
  stop(domid: number): void;
}

/** What its owner hears of its console. */
export type ConsoleSink = Pick<DomainConfig, 'onConsole' | 'onConsoleRoom'>;

/** What toolstack and domain 0 do for a domain while it is there: its entries in xenstore, its devices, both its rings. */
export class DomainServices {
  readonly console: ConsoleBackend;
  private readonly domid: number;
  private uuid: string;
  private readonly releaseConsole: () => void;

  constructor(
    private readonly host: ServicesHost,
    entries: DomainEntries,
    private readonly devices: readonly DomainDevices[],
    sink: ConsoleSink,
  ) {
    const { xenstore, dom0 } = host;
    this.domid = entries.domid;
    this.uuid = entries.uuid;
    writeDomainEntries(xenstore.local, entries);
    for (const kind of devices) kind.start(this.domid);
    xenstore.introduce(this.domid, entries.store.port);
    [this.console, this.releaseConsole] = connectConsole(dom0, this.domid, entries.console.port, sink);
  }

  /** Gives the domain another name and UUID, as `libxl_domain_preserve`. */
  rename(identity: Identity): void {
    moveDomainEntries(this.host.xenstore.local, this.domid, this.uuid, identity);
    this.uuid = identity.uuid;
  }

  /** The domain is about to go. */
  end(): void {
    const { domid, host } = this;
    // The console's last words first.
    this.releaseConsole();
    for (const kind of this.devices) kind.stop(domid);
    // In libxl's order: xenstored then finds nothing left of the domain, and need not look at all nodes.
    removeDomainEntries(host.xenstore.local, domid, this.uuid);
    host.xenstore.release(domid);
  }
}

/** Nanoseconds since 1970 on the host's clock. */
export const wallclock = (hv: Hypervisor): bigint => hv.wallclockNs + BigInt(Math.floor(hv.clock.now));

function connectConsole(
  { eventChannels, grants }: NativeGuest,
  domid: number,
  remotePort: number,
  sink: ConsoleSink,
): [ConsoleBackend, release: () => void] {
  const page = grants.map(domid, GNTTAB_RESERVED_CONSOLE);
  if (typeof page === 'number')
    throw new InvariantError(`The console page cannot be mapped: status ${page}.`);
  const port = eventChannels.bindInterdomain(domid, remotePort);
  if (port < 0) throw new InvariantError(`The console port cannot be bound: error ${-port}.`);
  const console = new ConsoleBackend({
    page,
    port,
    eventChannels,
    sink: {
      onOutput: (bytes) => sink.onConsole?.(bytes),
      onInputRoom: () => sink.onConsoleRoom?.(),
    },
  });
  const release = () => {
    console.close();
    eventChannels.close(port);
    grants.unmap(page);
  };
  return [console, release];
}
