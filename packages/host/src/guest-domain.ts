import { ConsoleBackend } from '@xenolith/console';
import type { PvKernel } from '@xenolith/domain-builder';
import { BadInputError, InvariantError } from '@xenolith/host-interface';
import { type Domain, destroyDomain, type Hypervisor } from '@xenolith/hypervisor-core';
import { GNTTAB_RESERVED_CONSOLE, XEN_HVM_MEMMAP_TYPE_RAM } from '@xenolith/xen-abi';
import type { NativeGuest } from './native-guest.js';
import { buildPv, PAGES_PER_MIB, type PvDomain } from './pv-domain.js';
import { type DomainResult, shutdownReason } from './result.js';
import { formatUuid, parseUuid, randomUuid } from './uuid.js';
import type { XenstoreService } from './xenstore-service.js';
import { removeDomainEntries, writeDomainEntries, writeVcpuAvailability } from './xenstore-tree.js';

/** A new PV domain. */
export interface DomainConfig {
  /** From `loadKernel`. */
  kernel: PvKernel;
  /** The ramdisk file's bytes; a gzip file is unpacked. */
  ramdisk?: Uint8Array;
  /** At most 1,023 bytes. */
  cmdline?: string;
  /** Default 128. */
  memoryMiB?: number;
  /** vCPUs that are online when it starts: 1 … `maxVcpus`, default 1. The guest is asked to leave the others alone. */
  vcpus?: number;
  /** vCPUs that it can have: 1 … 128, default `vcpus`. As `maxvcpus` of xl.cfg. */
  maxVcpus?: number;
  /** Share of the processor under the scheduler `credit`, 1 … 65535, as `cpu_weight` of xl.cfg. Default 256. */
  weight?: number;
  /** Limit under the scheduler `credit`, in percent of a processor; 0, the default, is none. As `cap` of xl.cfg. */
  cap?: number;
  /** Highest event-channel port, as `max_event_channels` of xl.cfg. Default 1023. */
  maxEventPort?: number;
  /** Default `guest`. */
  name?: string;
  /** Default: random, from the host's inputs. */
  uuid?: string;
  /** What happens when the guest asks for a reboot. Default `restart`. */
  onReboot?: 'restart' | 'destroy';
  /** Where the files came from, for xenstore's `/vm/UUID/image`. */
  kernelPath?: string;
  ramdiskPath?: string;
  /** Gets what the guest prints on its console: bytes that it may keep. Must not throw. */
  onConsole?(bytes: Uint8Array): void;
  /** The console takes input again, after `sendConsole` had to refuse some; also after a restart. */
  onConsoleRoom?(): void;
  /** Allows CONSOLEIO_write, as a debug build of Xen does, and gets what is written with it. */
  onConsoleIo?(bytes: Uint8Array): void;
}

/** What a domain needs of its host. */
export interface DomainHost {
  readonly hypervisor: Hypervisor;
  readonly dom0: NativeGuest;
  readonly xenstore: XenstoreService;
  /** Something happened that a sleeping host should see to. */
  wake(): void;
  /** The domain is gone for good. */
  ended(domain: GuestDomain): void;
}

interface Incarnation {
  readonly pv: PvDomain;
  readonly console: ConsoleBackend;
  release(): void;
}

/** A guest from its creation to its end, over reboots: each start is a domain with a number of its own, as with `xl`. */
export class GuestDomain {
  readonly name: string;
  readonly uuid: string;
  readonly memoryMiB: number;
  readonly maxVcpus: number;
  /** Resolves when the guest has ended for good and its memory is free. */
  readonly ended: Promise<DomainResult>;
  private resolveEnded: (result: DomainResult) => void = () => {};
  private current: Incarnation | undefined;
  private restarts = 0;
  private finished: DomainResult | undefined;
  private online: number;
  /** Instructions that each vCPU retired before the last reboot. */
  private readonly retiredBefore: number[] = [];

  /** @throws BadInputError; then nothing was made */
  constructor(
    private readonly host: DomainHost,
    readonly config: DomainConfig,
  ) {
    const { inputs } = host.hypervisor.options;
    this.name = config.name ?? 'guest';
    this.uuid = formatUuid(config.uuid === undefined ? randomUuid(inputs) : parseUuid(config.uuid));
    this.memoryMiB = config.memoryMiB ?? 128;
    this.maxVcpus = config.maxVcpus ?? config.vcpus ?? 1;
    this.online = this.checkedVcpus(config.vcpus ?? 1);
    this.ended = new Promise((resolve) => {
      this.resolveEnded = resolve;
    });
    this.current = this.start();
  }

  /** Its number now; −1 when it has ended. */
  get domid(): number {
    return this.current?.pv.domain.domid ?? -1;
  }

  /** How it ended; undefined while it lives. */
  get result(): DomainResult | undefined {
    return this.finished;
  }

  /** The hypervisor's domain; undefined when it has ended. */
  get domain(): Domain | undefined {
    return this.current?.pv.domain;
  }

  /** Lets it run: domains begin paused. */
  unpause(): void {
    if (!this.current) return;
    this.host.hypervisor.unpauseDomain(this.current.pv.domain);
    this.host.wake();
  }

  pause(): void {
    if (this.current) this.host.hypervisor.pauseDomain(this.current.pv.domain);
  }

  /**
   * Console input.
   * @returns how many bytes were taken; when fewer than given, `onConsoleRoom` tells when to go on
   */
  sendConsole(bytes: Uint8Array): number {
    if (!this.current) return 0;
    const taken = this.current.console.send(bytes);
    this.host.wake();
    return taken;
  }

  /** Asks the guest to shut down, through its `control/shutdown` node, as `xl shutdown` does. It may ignore that. */
  requestShutdown(command: 'poweroff' | 'reboot' | 'halt' | 'suspend' = 'poweroff'): void {
    if (!this.current) return;
    this.host.xenstore.local.write(`/local/domain/${this.domid}/control/shutdown`, command);
    this.host.wake();
  }

  /** vCPUs that the guest was told to have online. */
  get vcpus(): number {
    return this.online;
  }

  /**
   * Asks the guest to have its first `count` vCPUs online and no others, through its `cpu/N/availability` nodes, as
   * `xl vcpu-set` does. It may ignore that. @throws BadInputError
   */
  setVcpus(count: number): void {
    this.online = this.checkedVcpus(count);
    if (!this.current) return;
    const { local } = this.host.xenstore;
    local.transaction(() => writeVcpuAvailability(local, this.domid, this.maxVcpus, count));
    this.host.wake();
  }

  /** Instructions that each vCPU has retired so far, over reboots. */
  get vcpuInstructions(): readonly number[] {
    const vcpus = this.domain?.vcpus ?? [];
    return Array.from({ length: this.maxVcpus }, (_, id) => {
      return (this.retiredBefore[id] ?? 0) + (vcpus[id]?.retired ?? 0);
    });
  }

  private checkedVcpus(count: number): number {
    if (Number.isInteger(count) && count >= 1 && count <= this.maxVcpus) return count;
    throw new BadInputError(
      `A domain with ${this.maxVcpus} vCPUs has 1 to ${this.maxVcpus} online, not ${count}.`,
    );
  }

  /** Ends it at once, whatever it does. */
  destroy(): void {
    if (!this.current) return;
    this.takeApart();
    this.finish({ reason: 'destroyed', code: -1, restarts: this.restarts });
  }

  /** For the host, between slices: the domain has shut down with a `SHUTDOWN_*` reason. */
  handleShutdown(code: number): void {
    const { current, host, config } = this;
    if (!current) return;
    const { domid, crashReport } = current.pv.domain;
    host.xenstore.shutDown(domid);
    this.takeApart();
    const reason = shutdownReason(code);
    if (reason === 'reboot' && config.onReboot !== 'destroy') {
      this.restarts++;
      this.current = this.start();
      this.unpause();
      config.onConsoleRoom?.();
      return;
    }
    this.finish({ reason, code, restarts: this.restarts, ...(crashReport && { crash: crashReport }) });
  }

  private finish(result: DomainResult): void {
    this.finished = result;
    this.host.ended(this);
    this.resolveEnded(result);
    this.host.wake();
  }

  private start(): Incarnation {
    const { config, host } = this;
    const { hypervisor, xenstore } = host;
    const pv = buildPv(
      hypervisor,
      {
        kernel: config.kernel,
        name: this.name,
        handle: parseUuid(this.uuid),
        memoryPages: Math.floor(this.memoryMiB * PAGES_PER_MIB),
        vcpus: this.maxVcpus,
        // libxl gives a PV guest one range: xc_domain_set_memmap_limit.
        memoryMap: [{ address: 0n, size: BigInt(this.memoryMiB) << 20n, type: XEN_HVM_MEMMAP_TYPE_RAM }],
        cmdline: config.cmdline ?? '',
        ...(config.weight !== undefined && { weight: config.weight }),
        ...(config.cap !== undefined && { cap: config.cap }),
        ...(config.maxEventPort !== undefined && { maxEventPort: config.maxEventPort }),
        ...(config.ramdisk && { ramdisk: config.ramdisk }),
        ...(config.onConsoleIo && { consoleIo: (bytes: Uint8Array) => config.onConsoleIo?.(bytes) }),
      },
      host.dom0.domid,
    );
    const { domid } = pv.domain;
    writeDomainEntries(xenstore.local, {
      domid,
      name: this.name,
      uuid: this.uuid,
      memoryKiB: this.memoryMiB * 1024,
      vcpus: this.online,
      maxVcpus: this.maxVcpus,
      store: { port: pv.storePort, mfn: pv.storeMfn },
      console: { port: pv.consolePort, mfn: pv.consoleMfn },
      kernel: config.kernelPath ?? '',
      ramdisk: config.ramdisk && (config.ramdiskPath ?? ''),
      cmdline: config.cmdline ?? '',
      startedNs: hypervisor.wallclockNs + BigInt(Math.floor(hypervisor.clock.now)),
    });
    xenstore.introduce(domid, pv.storePort);
    return { pv, ...this.connectConsole(domid, pv.consolePort) };
  }

  private connectConsole(domid: number, remotePort: number): Omit<Incarnation, 'pv'> {
    const { eventChannels, grants } = this.host.dom0;
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
        onOutput: (bytes) => this.config.onConsole?.(bytes),
        onInputRoom: () => this.config.onConsoleRoom?.(),
      },
    });
    const release = () => {
      console.close();
      eventChannels.close(port);
      grants.unmap(page);
    };
    return { console, release };
  }

  private takeApart(): void {
    const { current, host } = this;
    if (!current) return;
    const { domain } = current.pv;
    this.vcpuInstructions.forEach((retired, id) => {
      this.retiredBefore[id] = retired;
    });
    // The console's last words first.
    current.release();
    host.xenstore.release(domain.domid);
    removeDomainEntries(host.xenstore.local, domain.domid, this.uuid);
    destroyDomain(host.hypervisor, domain);
    this.current = undefined;
  }
}
