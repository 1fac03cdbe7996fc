import { compileInterpreter, X86Processor } from '@xenolith/cpu-emulator';
import type { Guest } from '@xenolith/guest-api';
import {
  BadInputError,
  type HostInputs,
  type Logger,
  noTrace,
  type TraceSink,
} from '@xenolith/host-interface';
import {
  type ClockMode,
  type Domain,
  Hypervisor,
  type Scheduler,
  type SchedulerName,
} from '@xenolith/hypervisor-core';
import { MachineMemory } from '@xenolith/mmu';
import { connectInMemory, XenstoreClient } from '@xenolith/xenstore';
import { BlockService } from './devices/block-service.js';
import { isDomain0 } from './devices/domain-0.js';
import { NetworkService } from './devices/network-service.js';
import type { DomainConfig } from './domain-config.js';
import { type DomainInfo, domainInfo, nativeDomainInfo } from './domain-info.js';
import { type EventLoop, LONGEST_SLEEP_MS, webEventLoop } from './event-loop.js';
import { type DomainHost, GuestDomain } from './guest-domain.js';
import { chooseIdentity, type Identity } from './identity.js';
import { fixedInputs, systemInputs } from './inputs.js';
import { type NativeConfig, NativeDomain, type NativeHost } from './native-domain.js';
import { createNativeGuest, type NativeGuest } from './native-guest.js';
import { PAGES_PER_MIB } from './pv-domain.js';
import { Statistics } from './statistics.js';
import { XenstoreService } from './xenstore-service.js';

export interface HostOptions {
  /** Memory for all domains together, in MiB: 1 … 3,900. Default 512. */
  memoryMiB?: number;
  /** Default `real`. */
  clock?: ClockMode;
  /** Time and randomness. Default: this machine's; with the clock `virtual` a fixed date and fixed random bytes. */
  inputs?: HostInputs;
  /** Default: one that works everywhere. */
  eventLoop?: EventLoop;
  /** `rr` (round robin, the default), `credit` (weights and caps), `null` (no preemption), or one of your own. */
  scheduler?: SchedulerName | Scheduler;
  trace?: TraceSink;
  log?: Logger;
  /** Count exits and hypercalls (`host.statistics`); costs something at each hypercall. */
  statistics?: boolean;
  /** Check our own invariants after each exit of a guest, and throw when one is broken. For tests. */
  strict?: boolean;
  /** With `strict`: exits between two recounts of all frames. Default 1000; 0: only when a domain goes. */
  checkInterval?: number;
  /** The interpreter from `compileInterpreter`, to share it between hosts. */
  interpreter?: WebAssembly.Module;
}

/** Frames besides those of domains: the M2P table, shared pages, grant tables. */
const OVERHEAD_MIB = 16;
const MAX_MEMORY_MIB = 3900;
/** Instructions between two turns of the event loop: some 10 ms. The same always, so that runs can be repeated. */
const BUDGET = 2_000_000;

const isCalled =
  (which: number | string) =>
  ({ domid, name }: { readonly domid: number; readonly name: string }): boolean =>
    name === which || String(domid) === String(which);

/** Makes a host without guests. @throws BadInputError when it cannot have so much memory */
export async function createHost(options: HostOptions = {}): Promise<Host> {
  const machine = reserve(options.memoryMiB ?? 512);
  const interpreter = options.interpreter ?? (await compileInterpreter());
  return new Host(machine, interpreter, options);
}

function reserve(memoryMiB: number): MachineMemory {
  if (!(memoryMiB >= 1 && memoryMiB <= MAX_MEMORY_MIB)) {
    throw new BadInputError(
      `A host with ${memoryMiB} MiB is not possible: it can have 1 to ${MAX_MEMORY_MIB} MiB.`,
    );
  }
  try {
    return new MachineMemory(Math.ceil(memoryMiB + OVERHEAD_MIB) * PAGES_PER_MIB);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new BadInputError(`This machine does not give a host of ${memoryMiB} MiB its memory.`);
  }
}

/**
 * A machine with Xen: hypervisor, domain 0 (native: xenstored and the console daemon are TypeScript), and guests.
 * Guests run while `run` is awaited.
 */
export class Host implements DomainHost, NativeHost {
  readonly hypervisor: Hypervisor;
  readonly dom0: NativeGuest;
  readonly xenstore: XenstoreService;
  /** For guests: who serves their disks. */
  readonly blocks: BlockService;
  /** For guests: who serves their network interfaces; and the host's switches, by name. */
  readonly networks: NetworkService;
  /** Only with the option `statistics`. */
  readonly statistics: Statistics | undefined;
  readonly eventLoop: EventLoop;
  private readonly guests = new Set<GuestDomain>();
  private readonly natives = new Set<NativeDomain>();
  private readonly shutDown: { domain: Domain; code: number }[] = [];
  private running = false;
  private woken = false;
  private wakeUp: (() => void) | undefined;

  /** Use `createHost`. */
  constructor(machine: MachineMemory, interpreter: WebAssembly.Module, options: HostOptions) {
    const clock = options.clock ?? 'real';
    this.eventLoop = options.eventLoop ?? webEventLoop();
    const processor = new X86Processor(machine, interpreter);
    this.statistics = options.statistics ? new Statistics(options.trace ?? noTrace) : undefined;
    this.statistics?.watch(processor);
    const trace = this.statistics ?? options.trace;
    this.hypervisor = new Hypervisor({
      processor,
      machine,
      clock,
      inputs: options.inputs ?? (clock === 'virtual' ? fixedInputs() : systemInputs()),
      ...(options.scheduler && { scheduler: options.scheduler }),
      ...(trace && { trace }),
      ...(options.log && { log: options.log }),
      ...(options.strict !== undefined && { strict: options.strict }),
      ...(options.checkInterval !== undefined && { checkInterval: options.checkInterval }),
      onInterrupt: () => this.wake(),
      onShutdown: (domain, code) => this.shutDown.push({ domain, code }),
    });
    this.dom0 = createNativeGuest(this.hypervisor, { domid: 0, privileged: true });
    this.xenstore = new XenstoreService(this.hypervisor, this.dom0);
    const drivers: Guest = {
      ...this.dom0,
      xenstore: new XenstoreClient(connectInMemory(this.xenstore.server)),
    };
    this.blocks = new BlockService(drivers, this.hypervisor.log);
    this.networks = new NetworkService(drivers, this.hypervisor.log);
  }

  /** The guests that have not ended. */
  get domains(): GuestDomain[] {
    return [...this.guests];
  }

  /** Makes a domain, paused. @throws BadInputError; then nothing was made */
  createDomain(config: DomainConfig): GuestDomain {
    const guest = new GuestDomain(this, config, this.identityFor(config));
    this.guests.add(guest);
    return guest;
  }

  /** Makes a domain whose kernel is TypeScript; it starts when the host runs. @throws BadInputError; then nothing was made */
  createNativeDomain(config: NativeConfig): NativeDomain {
    const domain = new NativeDomain(this, config, this.identityFor(config));
    this.natives.add(domain);
    return domain;
  }

  /** The guest with this number or name. */
  find(which: number | string): GuestDomain | undefined {
    return this.domains.find(isCalled(which));
  }

  /** The number of the domain with this number or name; domain 0 has both, too. Undefined: there is none. */
  domidOf(which: number | string): number | undefined {
    if (isDomain0(which)) return 0;
    return [...this.guests, ...this.natives].find(isCalled(which))?.domid;
  }

  /** All domains but domain 0, by number, as `xl list` shows them. */
  list(): DomainInfo[] {
    const { hypervisor } = this;
    const guests = [...hypervisor.domains.values()].map((domain) =>
      domainInfo(
        hypervisor,
        domain,
        this.domains.find((guest) => guest.domain === domain),
      ),
    );
    const natives = [...hypervisor.natives.values()]
      .filter((domain) => domain.domid !== this.dom0.domid)
      .map((domain) =>
        nativeDomainInfo(
          domain,
          [...this.natives].find(({ domid }) => domid === domain.domid),
        ),
      );
    return [...guests, ...natives].sort((a, b) => a.domid - b.domid);
  }

  /**
   * Runs the guests until all have ended and their memory is free, or `signal` is aborted (they stay as they are then, and `run` may be called
   * again). The event loop turns every few milliseconds; while all guests are idle, the host sleeps.
   */
  async run({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    if (this.running) throw new RangeError('The host is running already.');
    this.running = true;
    const stop = () => this.wake();
    signal?.addEventListener('abort', stop);
    try {
      while (this.isBusy && !signal?.aborted) await this.step();
    } finally {
      this.running = false;
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Ends a sleep of `run`: for those who cause something that no timer announces. */
  wake(): void {
    this.woken = true;
    this.wakeUp?.();
  }

  /** For domains: one has shut down and is kept. */
  keep(guest: GuestDomain): void {
    this.guests.add(guest);
  }

  /** For domains: one has ended. */
  ended(domain: GuestDomain | NativeDomain): void {
    if (domain instanceof NativeDomain) this.natives.delete(domain);
    else this.guests.delete(domain);
  }

  private identityFor(wanted: { name?: string; uuid?: string }): Identity {
    return chooseIdentity(wanted, [...this.guests, ...this.natives], this.hypervisor.options.inputs);
  }

  /** There are guests, or memory of such that have ended is coming back. */
  private get isBusy(): boolean {
    return this.guests.size > 0 || this.natives.size > 0 || this.hypervisor.isReleasing;
  }

  private async step(): Promise<void> {
    this.woken = false;
    const status = this.hypervisor.run(BUDGET);
    const someEnded = this.shutDown.length > 0;
    for (let next = this.shutDown.shift(); next; next = this.shutDown.shift()) {
      const { domain, code } = next;
      this.domains.find((guest) => guest.domain === domain)?.handleShutdown(code);
    }
    if (status.kind === 'busy' || someEnded || this.woken || !this.isBusy) await this.eventLoop.turn();
    else await this.sleep(status.kind === 'idle' ? status.sleepNs : undefined);
  }

  private sleep(ns: number | undefined): Promise<void> {
    const ms = Math.min(ns === undefined ? LONGEST_SLEEP_MS : Math.ceil(ns / 1e6), LONGEST_SLEEP_MS);
    return new Promise((resolve) => {
      const awake = () => {
        cancel();
        this.wakeUp = undefined;
        resolve();
      };
      const cancel = this.eventLoop.after(ms, awake);
      this.wakeUp = awake;
    });
  }
}
