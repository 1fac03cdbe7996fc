import { Terminal } from '@xenolith/console';
import type { Guest, OwnPage } from '@xenolith/guest-api';
import { BadInputError } from '@xenolith/host-interface';
import { XenstoreRing } from '@xenolith/shared-ring';
import { GNTTAB_RESERVED_CONSOLE, GNTTAB_RESERVED_XENSTORE } from '@xenolith/xen-abi';
import { RingClientTransport, XenstoreClient } from '@xenolith/xenstore';
import type { DiskConfig } from './devices/disk.js';
import { type DiskHost, GuestDisks } from './devices/guest-disks.js';
import { GuestVifs, type VifHost } from './devices/guest-vifs.js';
import type { VifConfig } from './devices/vif.js';
import { type ConsoleSink, DomainServices, type ServicesHost, wallclock } from './domain-services.js';
import type { Identity } from './identity.js';
import { createNativeGuest, type NativeGuest } from './native-guest.js';

/** What a kernel in TypeScript finds when it starts: all that `guest-api` has, and the console. */
export interface KernelGuest extends Guest {
  readonly xenstore: XenstoreClient;
  readonly console: Terminal;
}

/** A new domain whose kernel is TypeScript. */
export interface NativeConfig extends ConsoleSink {
  /**
   * The kernel. It starts when the host runs. The domain powers off when its promise is kept; it crashes when that is
   * broken, or when a handler of events or timers throws.
   */
  kernel(guest: KernelGuest): Promise<void>;
  /** Unique in the host, and not only digits. Default `guest`, or `guest-2` and so on. */
  name?: string;
  /** Unique in the host. Default: random, from the host's inputs. */
  uuid?: string;
  disks?: readonly DiskConfig[];
  /** Network interfaces, numbered from 0. */
  vifs?: readonly VifConfig[];
}

/** How the life of a native domain ended; `destroyed`: not by itself. */
export interface NativeResult {
  readonly reason: 'poweroff' | 'crash' | 'destroyed';
  /** For `crash`: what was thrown. */
  readonly error?: unknown;
}

/** What a native domain needs of its host. */
export interface NativeHost extends ServicesHost, DiskHost, VifHost {
  readonly hypervisor: ServicesHost['hypervisor'];
  readonly xenstore: ServicesHost['xenstore'];
  wake(): void;
  /** The domain is gone. */
  ended(domain: NativeDomain): void;
}

/**
 * A guest whose kernel is an async function. It has what every guest has: a number, a console, a xenstore ring, grants and
 * ports of its own; so it can have devices, and serve them as a driver domain. All methods may be called at any moment, and
 * do nothing once it has ended.
 */
export class NativeDomain {
  readonly domid: number;
  readonly ended: Promise<NativeResult>;
  /** Its disks: they may come and go while it runs. */
  readonly disks: GuestDisks;
  /** Its network interfaces, likewise. */
  readonly vifs: GuestVifs;
  private readonly guest: NativeGuest;
  private readonly services: DomainServices;
  private resolveEnded: (result: NativeResult) => void = () => {};
  private finished: NativeResult | undefined;

  /** Use `host.createNativeDomain`. @throws BadInputError; then nothing was made */
  constructor(
    private readonly host: NativeHost,
    private readonly config: NativeConfig,
    private readonly identity: Identity,
  ) {
    const { hypervisor } = host;
    this.ended = new Promise((resolve) => {
      this.resolveEnded = resolve;
    });
    this.disks = new GuestDisks(host, config.disks ?? []);
    this.vifs = new GuestVifs(host, config.vifs ?? []);
    this.guest = createNativeGuest(hypervisor, {
      onError: (error) => this.finish({ reason: 'crash', error }),
    });
    this.domid = this.guest.domid;
    const store = this.sharedPage(GNTTAB_RESERVED_XENSTORE);
    const console = this.sharedPage(GNTTAB_RESERVED_CONSOLE);
    const memoryKiB = this.guest.domain.totPages * 4;
    this.services = new DomainServices(
      host,
      {
        domid: this.domid,
        ...identity,
        memoryKiB,
        maxMemoryKiB: memoryKiB,
        vcpus: 1,
        maxVcpus: 1,
        store: { port: store.port, mfn: store.page.gfn },
        console: { port: console.port, mfn: console.page.gfn },
        kernel: '',
        cmdline: '',
        startedNs: wallclock(hypervisor),
      },
      [this.disks, this.vifs],
      config,
    );
    hypervisor.defer(() => void this.boot(store, console));
  }

  get name(): string {
    return this.identity.name;
  }

  get uuid(): string {
    return this.identity.uuid;
  }

  /** How it ended; undefined while it lives. */
  get result(): NativeResult | undefined {
    return this.finished;
  }

  /** Console input. @returns how many bytes were taken; when fewer than given, `onConsoleRoom` tells when to go on */
  sendConsole(bytes: Uint8Array): number {
    if (this.finished) return 0;
    const taken = this.services.console.send(bytes);
    this.host.wake();
    return taken;
  }

  /** Asks the kernel to shut down, through its `control/shutdown` node, as `xl shutdown` does. It may ignore that. */
  requestShutdown(command: 'poweroff' | 'reboot' | 'halt' = 'poweroff'): void {
    if (this.finished) return;
    this.host.xenstore.local.write(`/local/domain/${this.domid}/control/shutdown`, command);
    this.host.wake();
  }

  /** Ends it at once. What its code still does comes to nothing. */
  destroy(): void {
    this.finish({ reason: 'destroyed' });
  }

  /** A page and a port that domain 0 serves. @throws BadInputError if the machine has no memory left */
  private sharedPage(ref: number): { page: OwnPage; port: number } {
    const { guest, host } = this;
    const page = guest.memory.allocate();
    if (!page) {
      guest.destroy();
      throw new BadInputError('The machine has no memory left for another domain.');
    }
    host.hypervisor.grants.writeEntry(guest.domid, ref, host.dom0.domid, page.gfn);
    return { page, port: guest.eventChannels.allocUnbound(host.dom0.domid) };
  }

  private async boot(store: { page: OwnPage; port: number }, console: typeof store): Promise<void> {
    const { eventChannels, domid, memory, grants, clock } = this.guest;
    const transport = new RingClientTransport(
      new XenstoreRing(store.page),
      () => void eventChannels.send(store.port),
    );
    eventChannels.onEvent(store.port, () => transport.onEvent());
    const terminal = new Terminal(console.page, console.port, eventChannels);
    const xenstore = new XenstoreClient(transport);
    try {
      await this.config.kernel({ domid, eventChannels, grants, memory, clock, xenstore, console: terminal });
      await terminal.drained();
      this.finish({ reason: 'poweroff' });
    } catch (error) {
      this.finish({ reason: 'crash', error });
    }
  }

  private finish(result: NativeResult): void {
    if (this.finished) return;
    this.finished = result;
    const { host, guest } = this;
    if (result.reason === 'crash')
      host.hypervisor.log.log('error', 'domain', `Domain ${this.domid} crashed: ${String(result.error)}.`);
    this.services.end();
    guest.destroy();
    for (const devices of [this.disks, this.vifs]) void devices.close();
    host.ended(this);
    this.resolveEnded(result);
    host.wake();
  }
}
