import { ConsoleBackend } from '@xenolith/console';
import { BadInputError, InvariantError } from '@xenolith/host-interface';
import { type Domain, destroyDomain, type Hypervisor } from '@xenolith/hypervisor-core';
import { GNTTAB_RESERVED_CONSOLE, XEN_HVM_MEMMAP_TYPE_RAM } from '@xenolith/xen-abi';
import type { DomainConfig } from './domain-config.js';
import type { Identity } from './identity.js';
import type { NativeGuest } from './native-guest.js';
import { buildPv, PAGES_PER_MIB } from './pv-domain.js';
import { parseUuid } from './uuid.js';
import type { XenstoreService } from './xenstore-service.js';
import {
  type DomainEntries,
  moveDomainEntries,
  removeDomainEntries,
  writeDomainEntries,
} from './xenstore-tree.js';

/** What a domain needs of its host. */
export interface IncarnationHost {
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

/** One start of a guest: a domain with a number of its own, its console, and its entries in xenstore. */
export class Incarnation {
  readonly domain: Domain;
  readonly console: ConsoleBackend;
  private uuid: string;
  private readonly releaseConsole: () => void;

  /** Builds the domain, paused. @throws BadInputError; then nothing was made */
  constructor(
    private readonly host: IncarnationHost,
    identity: Identity,
    config: DomainConfig,
    private readonly devices: readonly DomainDevices[],
  ) {
    const { hypervisor, xenstore } = host;
    const { vcpus = 1, memoryMiB = DEFAULT_MEMORY_MIB } = config;
    const { maxVcpus = vcpus, maxMemoryMiB = memoryMiB } = config;
    if (maxMemoryMiB < memoryMiB)
      throw new BadInputError(`${memoryMiB} MiB are more than the domain may have: ${maxMemoryMiB} MiB.`);
    const pv = buildPv(
      hypervisor,
      {
        kernel: config.kernel,
        name: identity.name,
        handle: parseUuid(identity.uuid),
        memoryPages: pagesOf(memoryMiB),
        maxPages: maxPagesOf(memoryMiB),
        vcpus: maxVcpus,
        // libxl gives a PV guest one range: xc_domain_set_memmap_limit.
        memoryMap: [{ address: 0n, size: BigInt(maxMemoryMiB) << 20n, type: XEN_HVM_MEMMAP_TYPE_RAM }],
        cmdline: config.cmdline ?? '',
        ...(config.weight !== undefined && { weight: config.weight }),
        ...(config.cap !== undefined && { cap: config.cap }),
        ...(config.grants && { grants: config.grants }),
        ...(config.maxEventPort !== undefined && { maxEventPort: config.maxEventPort }),
        ...(config.ramdisk && { ramdisk: config.ramdisk }),
        ...(config.onConsoleIo && { consoleIo: (bytes: Uint8Array) => config.onConsoleIo?.(bytes) }),
      },
      host.dom0.domid,
    );
    this.domain = pv.domain;
    this.uuid = identity.uuid;
    const { domid } = pv.domain;
    const entries: DomainEntries = {
      domid,
      ...identity,
      memoryKiB: memoryMiB * 1024,
      maxMemoryKiB: maxMemoryMiB * 1024,
      vcpus,
      maxVcpus,
      store: { port: pv.storePort, mfn: pv.storeMfn },
      console: { port: pv.consolePort, mfn: pv.consoleMfn },
      kernel: config.kernelPath ?? '',
      ramdisk: config.ramdisk && (config.ramdiskPath ?? ''),
      cmdline: config.cmdline ?? '',
      startedNs: wallclock(hypervisor),
    };
    writeDomainEntries(xenstore.local, entries);
    for (const kind of devices) kind.start(domid);
    xenstore.introduce(domid, pv.storePort);
    [this.console, this.releaseConsole] = connectConsole(host.dom0, domid, pv.consolePort, config);
  }

  get domid(): number {
    return this.domain.domid;
  }

  /** Gives the domain another name and UUID, as `libxl_domain_preserve`. */
  rename(identity: Identity): void {
    moveDomainEntries(this.host.xenstore.local, this.domid, this.uuid, identity);
    this.uuid = identity.uuid;
  }

  /** Ends the domain, whatever it does, and removes all that it had. */
  takeApart(): void {
    const { domid, host } = this;
    // The console's last words first.
    this.releaseConsole();
    for (const kind of this.devices) kind.stop(domid);
    host.xenstore.release(domid);
    removeDomainEntries(host.xenstore.local, domid, this.uuid);
    destroyDomain(host.hypervisor, this.domain);
  }
}

export const DEFAULT_MEMORY_MIB = 128;

const pagesOf = (memoryMiB: number): number => Math.floor(memoryMiB * PAGES_PER_MIB);

/** Pages that a domain of so much memory may have: libxl adds 1 MiB (LIBXL_MAXMEM_CONSTANT of libxl_internal.h). */
export const maxPagesOf = (memoryMiB: number): number => pagesOf(memoryMiB + 1);

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
