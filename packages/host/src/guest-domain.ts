import { BadInputError } from '@xenolith/host-interface';
import type { Domain } from '@xenolith/hypervisor-core';
import { type DiskHost, GuestDisks } from './devices/guest-disks.js';
import { GuestVifs, type VifHost } from './devices/guest-vifs.js';
import type { DomainConfig } from './domain-config.js';
import { type ServicesHost, wallclock } from './domain-services.js';
import { freeName, type Identity } from './identity.js';
import { DEFAULT_MEMORY_MIB, Incarnation, maxPagesOf } from './incarnation.js';
import { type DomainResult, type ShutdownReason, shutdownReason } from './result.js';
import type { ShutdownAction } from './shutdown-action.js';
import { formatUuid, randomUuid } from './uuid.js';
import { writeVcpuAvailability } from './xenstore-tree.js';

/** What a guest needs of its host. */
export interface DomainHost extends ServicesHost, DiskHost, VifHost {
  readonly hypervisor: ServicesHost['hypervisor'];
  readonly xenstore: ServicesHost['xenstore'];
  /** The guests that have not ended. */
  readonly domains: readonly GuestDomain[];
  /** Something happened that a sleeping host should see to. */
  wake(): void;
  /** A domain that has shut down is kept under another name. */
  keep(domain: GuestDomain): void;
  /** The domain is gone for good. */
  ended(domain: GuestDomain): void;
}

/**
 * A guest from its creation to its end, over reboots: each start is a domain with a number of its own, as with `xl`. All
 * methods may be called at any moment but from a trace sink, and do nothing once it has ended.
 */
export class GuestDomain {
  readonly memoryMiB: number;
  readonly maxVcpus: number;
  /**
   * Resolves when the guest has ended for good. The memory of a large one comes back while the host runs on, or when it
   * makes the next domain; pages that other guests map, when those let go.
   */
  readonly ended: Promise<DomainResult>;
  /** Its disks: they may come and go while it runs. */
  readonly disks: GuestDisks;
  /** Its network interfaces, likewise. */
  readonly vifs: GuestVifs;
  private resolveEnded: (result: DomainResult) => void = () => {};
  private current: Incarnation | undefined;
  private restarts = 0;
  private finished: DomainResult | undefined;
  private online: number;
  private target: number;
  /** Instructions that each vCPU retired before the last reboot. */
  private readonly retiredBefore: number[] = [];

  /**
   * Use `host.createDomain`.
   * @param halted a domain that has shut down and is kept, and how it shut down
   * @throws BadInputError; then nothing was made
   */
  constructor(
    private readonly host: DomainHost,
    readonly config: DomainConfig,
    private readonly identity: Identity,
    halted?: { readonly incarnation: Incarnation; readonly result: DomainResult },
  ) {
    this.memoryMiB = config.memoryMiB ?? DEFAULT_MEMORY_MIB;
    this.ended = new Promise((resolve) => {
      this.resolveEnded = resolve;
    });
    this.target = this.memoryMiB;
    this.maxVcpus = config.maxVcpus ?? config.vcpus ?? 1;
    this.online = this.checkedVcpus(config.vcpus ?? 1);
    // One that is kept has let go of its devices, so that its successor can have them.
    this.disks = new GuestDisks(host, halted ? [] : (config.disks ?? []));
    this.vifs = new GuestVifs(host, halted ? [] : (config.vifs ?? []));
    this.current = halted?.incarnation ?? this.start();
    this.halted = halted?.result;
  }

  /** How it has shut down, while it is kept (`preserve`). */
  halted: DomainResult | undefined;

  get name(): string {
    return this.identity.name;
  }

  get uuid(): string {
    return this.identity.uuid;
  }

  /** Its number now; −1 when it has ended. */
  get domid(): number {
    return this.current?.domid ?? -1;
  }

  /** How it ended; undefined while it lives. */
  get result(): DomainResult | undefined {
    return this.finished;
  }

  /** The hypervisor's domain; undefined when it has ended. */
  get domain(): Domain | undefined {
    return this.current?.domain;
  }

  /** Lets it run: domains begin paused. */
  unpause(): void {
    if (!this.current) return;
    this.host.hypervisor.unpauseDomain(this.current.domain);
    this.host.wake();
  }

  pause(): void {
    if (this.current) this.host.hypervisor.pauseDomain(this.current.domain);
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

  /** Memory that the guest was told to have, in MiB. */
  get memoryTargetMiB(): number {
    return this.target;
  }

  /**
   * Asks the guest to have so much memory, through `memory/target`, as `xl mem-set` does: its balloon driver gives pages
   * back or takes them. It may ignore that, but will not get more. @throws BadInputError
   */
  setMemory(memoryMiB: number): void {
    const most = this.config.maxMemoryMiB ?? this.memoryMiB;
    if (!(Number.isInteger(memoryMiB) && memoryMiB >= 1 && memoryMiB <= most))
      throw new BadInputError(`The domain may have 1 to ${most} MiB of memory, not ${memoryMiB}.`);
    this.target = memoryMiB;
    const { current } = this;
    if (!current) return;
    current.domain.maxPages = maxPagesOf(memoryMiB);
    this.host.xenstore.local.write(`/local/domain/${this.domid}/memory/target`, String(memoryMiB * 1024));
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
    this.finish(this.halted ?? { reason: 'destroyed', code: -1, restarts: this.restarts });
  }

  /** For the host, between slices: the domain has shut down with a `SHUTDOWN_*` reason. */
  handleShutdown(code: number): void {
    const { current } = this;
    if (!current) return;
    const { domid, crashReport } = current.domain;
    this.host.xenstore.shutDown(domid);
    const reason = shutdownReason(code);
    const result = { reason, code, restarts: this.restarts, ...(crashReport && { crash: crashReport }) };
    const action = this.actionFor(reason);
    this.config.onShutdown?.(result, action);
    switch (action) {
      case 'preserve':
        this.halted = result;
        break;
      case 'rename-restart':
        this.keep(current, result);
        this.restart(result);
        break;
      case 'restart':
      case 'coredump-restart':
        this.takeApart();
        this.restart(result);
        break;
      default:
        this.takeApart();
        this.finish(result);
    }
  }

  /** As xl's `handle_domain_death`; a guest that suspends itself ends here, as there is nothing that could resume it. */
  private actionFor(reason: ShutdownReason): ShutdownAction {
    const { config } = this;
    switch (reason) {
      case 'poweroff':
        return config.onPoweroff ?? 'destroy';
      case 'reboot':
        return config.onReboot ?? 'restart';
      case 'crash':
        return config.onCrash ?? 'destroy';
      case 'watchdog':
        return config.onWatchdog ?? 'destroy';
      case 'soft-reset':
        return config.onSoftReset ?? 'destroy';
      default:
        return 'destroy';
    }
  }

  private start(): Incarnation {
    const { host, identity, config, online, maxVcpus } = this;
    for (const devices of [this.disks, this.vifs]) devices.resolve();
    return new Incarnation(host, identity, { ...config, vcpus: online, maxVcpus }, [this.disks, this.vifs]);
  }

  private restart(before: DomainResult): void {
    // It starts with what its configuration says.
    this.target = this.memoryMiB;
    try {
      this.current = this.start();
    } catch (error) {
      // Others have its memory by now.
      if (!(error instanceof BadInputError)) throw error;
      this.finish({ ...before, restartProblem: error.message });
      return;
    }
    this.restarts++;
    this.unpause();
    this.config.onConsoleRoom?.();
  }

  /** The domain stays as it is, with the time behind its name and another UUID (`preserve_domain` of xl_vmcontrol.c). */
  private keep(incarnation: Incarnation, result: DomainResult): void {
    const { host, config, name } = this;
    const minutes = new Date(Number(wallclock(host.hypervisor) / 1_000_000n)).toISOString().slice(0, 16);
    const identity = {
      name: freeName(`${name}-${minutes.replace(/[-:]/g, '')}Z`, host.domains),
      uuid: formatUuid(randomUuid(host.hypervisor.options.inputs)),
    };
    for (const devices of [this.disks, this.vifs]) devices.stop(incarnation.domid);
    incarnation.rename(identity);
    this.forget();
    host.keep(new GuestDomain(host, config, identity, { incarnation, result }));
  }

  private takeApart(): void {
    const { current } = this;
    this.forget();
    current?.takeApart();
  }

  private forget(): void {
    this.vcpuInstructions.forEach((retired, id) => {
      this.retiredBefore[id] = retired;
    });
    this.current = undefined;
  }

  private finish(result: DomainResult): void {
    this.finished = result;
    for (const devices of [this.disks, this.vifs]) void devices.close();
    this.host.ended(this);
    this.resolveEnded(result);
    this.host.wake();
  }
}
