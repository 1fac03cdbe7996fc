import type { ConsoleBackend } from '@xenolith/console';
import { BadInputError } from '@xenolith/host-interface';
import { type Domain, destroyDomain } from '@xenolith/hypervisor-core';
import { XEN_HVM_MEMMAP_TYPE_RAM } from '@xenolith/xen-abi';
import type { DomainConfig } from './domain-config.js';
import { type DomainDevices, DomainServices, type ServicesHost, wallclock } from './domain-services.js';
import type { Identity } from './identity.js';
import { buildPv, PAGES_PER_MIB } from './pv-domain.js';
import { parseUuid } from './uuid.js';

/** One start of a guest: a domain with a number of its own, its console, and its entries in xenstore. */
export class Incarnation {
  readonly domain: Domain;
  private readonly services: DomainServices;

  /** Builds the domain, paused. @throws BadInputError; then nothing was made */
  constructor(
    private readonly host: ServicesHost,
    identity: Identity,
    config: DomainConfig,
    devices: readonly DomainDevices[],
  ) {
    const { hypervisor } = host;
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
    const entries = {
      domid: pv.domain.domid,
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
      ...(config.driverDomain && { driverDomain: true }),
    };
    this.services = new DomainServices(host, entries, devices, config);
  }

  get domid(): number {
    return this.domain.domid;
  }

  get console(): ConsoleBackend {
    return this.services.console;
  }

  /** Gives the domain another name and UUID, as `libxl_domain_preserve`. */
  rename(identity: Identity): void {
    this.services.rename(identity);
  }

  /** Ends the domain, whatever it does, and removes all that it had. */
  takeApart(): void {
    this.services.end();
    destroyDomain(this.host.hypervisor, this.domain);
  }
}

export const DEFAULT_MEMORY_MIB = 128;

const pagesOf = (memoryMiB: number): number => Math.floor(memoryMiB * PAGES_PER_MIB);

/** Pages that a domain of so much memory may have: libxl adds 1 MiB (LIBXL_MAXMEM_CONSTANT of libxl_internal.h). */
export const maxPagesOf = (memoryMiB: number): number => pagesOf(memoryMiB + 1);
