import type { ExitKind, Processor } from '@xenolith/cpu-emulator';
import { EventChannels } from '@xenolith/event-channels';
import { GrantTables } from '@xenolith/grant-tables';
import {
  type HostInputs,
  InvariantError,
  type Logger,
  noTrace,
  silentLogger,
  type TraceSink,
} from '@xenolith/host-interface';
import type { MachineMemory } from '@xenolith/mmu';
import { SHUTDOWN_crash, SHUTDOWN_watchdog } from '@xenolith/xen-abi';
import { Checks } from './checks.js';
import { AddressSpaces } from './domain/address-spaces.js';
import { reportCrash } from './domain/crash-report.js';
import { hasBreakpoints } from './domain/debug-registers.js';
import type { Zombie } from './domain/destroy.js';
import type { Domain } from './domain/domain.js';
import type { NativeDomain } from './domain/native-domain.js';
import type { Running } from './domain/running.js';
import type { Vcpu } from './domain/vcpu.js';
import { VcpuInfoFields } from './domain/vcpu-info.js';
import { grantMapper, grantMemory } from './grants/grant-glue.js';
import { CurrentGuestAccess } from './guest-access.js';
import { type DomainLookup, PvMemory } from './memory/index.js';
import { createScheduler, type SchedulerName } from './sched/index.js';
import { RUNSTATE } from './sched/runstate.js';
import type { Scheduler } from './sched/scheduler.js';
import { VcpuControl } from './sched/vcpu-control.js';
import { type ClockMode, HostClock } from './time/clock.js';
import { Completions } from './time/completions.js';
import { TimerQueue } from './time/timers.js';
import { handleExit } from './traps/exits.js';
import { reloadSegments } from './traps/failsafe.js';
import { prepareReturn } from './traps/upcalls.js';

export interface HypervisorOptions {
  processor: Processor;
  machine: MachineMemory;
  inputs: HostInputs;
  /** Default `virtual`. */
  clock?: ClockMode;
  /** One of ours by its name, or one of your own. Default `rr`: round robin with slices of 1 ms. */
  scheduler?: SchedulerName | Scheduler;
  trace?: TraceSink;
  log?: Logger;
  /**
   * Check our own invariants after each exit of a guest (see `Checks`), and throw when one is broken, after crashing the
   * domain that met it. For tests. Default false.
   */
  strict?: boolean;
  /** With `strict`: exits between two recounts of all frames; 0 only when a domain goes. Default 1000. */
  checkInterval?: number;
  /**
   * Something came in from outside of the loop, as an event or a timer from a promise of a native domain: `run` is to be
   * called again, if it came back with `idle`.
   */
  onInterrupt?(): void;
  /** A domain has shut down or crashed (`SHUTDOWN_*`; `domain.crashReport`). Called between slices. */
  onShutdown?(domain: Domain, reason: number): void;
}

/**
 * What `run` came to: its limit (`busy`); nothing to do before `sleepNs` nanoseconds have passed or something happens
 * outside (`idle`; undefined: only the latter); no domain left that could run (`stopped`).
 */
export type HostStatus =
  | { kind: 'busy' }
  | { kind: 'idle'; sleepNs: number | undefined }
  | { kind: 'stopped' };

const MAX_BUDGET = 0x7fff_ffff;
/**
 * What an exit costs of the budget of `run`, in instructions: about what it takes on the host, so that a guest that does
 * nothing but trap does not keep the host from its event loop. (The guest's clock does not know it.)
 */
const EXIT_COST = 200;
/** An instruction that runs alone, because its vCPU has breakpoints, costs the host about as much as so many others. */
const STEP_COST = 100;
const STEPPED_BUDGET = 10_000;
/** The same of a unit of work (see `Work`). */
const WORK_COST = 20;
/** What a jump of an idle clock to its next timer counts against a budget: ticks that wake nobody must not hold the host. */
const JUMP_COST = 10;

const earliest = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);

/** A vCPU's turn on the processor. Times are system time in nanoseconds. */
interface Slice {
  readonly vcpu: Vcpu;
  readonly start: number;
  readonly end: number;
  /** What may count against the budget. */
  readonly limit: number;
  exitCost: number;
  readonly workBefore: number;
}

/** One host: its domains, and the loop that runs them. Domains are made by `createDomain` of `domain/create.ts`. */
export class Hypervisor extends VcpuControl implements Running, DomainLookup {
  readonly cpu: Processor;
  readonly memory: PvMemory;
  readonly scratchFrame: number;
  readonly access: CurrentGuestAccess;
  readonly spaces: AddressSpaces;
  readonly info: VcpuInfoFields;
  readonly trace: TraceSink;
  readonly log: Logger;
  readonly events: EventChannels;
  readonly grants: GrantTables;
  readonly clock: HostClock;
  readonly timers: TimerQueue;
  /** Answers of the outside world to native domains. */
  readonly completions: Completions;
  readonly scheduler: Scheduler;
  readonly domains = new Map<number, Domain>();
  readonly natives = new Map<number, NativeDomain>();
  /** Domains that are dead, but of which something is left; they are in `domains` too. */
  readonly zombies = new Map<number, Zombie>();
  /** The number that the latest domain got which did not ask for one. */
  lastDomid = 0;
  /** Nanoseconds since 1970 at system time 0. */
  readonly wallclockNs: bigint;
  /** Only in test builds. */
  readonly checks: Checks | undefined;
  /** Instructions retired by all guests. */
  retired = 0;
  /** What happens before the next guest instruction: events of native domains, shutdowns. */
  private readonly deferred: (() => void)[] = [];
  /** Deferred work was done since `run` was called: native domains may have promises to settle. */
  private nativeRan = false;
  /** `run` is being called. */
  private looping = false;
  /** What was going on when time began to stand still. */
  private halted: { left: number; slice: Slice | undefined } | undefined;

  constructor(readonly options: HypervisorOptions) {
    const { processor: cpu, machine, inputs } = options;
    const spaces = new AddressSpaces(cpu);
    // Made before the class's own fields, which `super` must not need.
    const self: { hv: Hypervisor | undefined } = { hv: undefined };
    const known = (): Hypervisor => {
      if (!self.hv) throw new InvariantError('The hypervisor is used before it is made.');
      return self.hv;
    };
    const memory = new PvMemory(machine, spaces, {
      byId: (domid) => self.hv?.byId(domid),
      exists: (domid) => self.hv?.exists(domid) ?? false,
    });
    spaces.onNewRound = () => memory.frames.noteFullFlush();
    const access = new CurrentGuestAccess(cpu);
    const clock = new HostClock(options.clock ?? 'virtual', inputs);
    const timers = new TimerQueue(() => self.hv?.interrupt());
    const { scheduler: chosen = 'rr' } = options;
    const scheduler = typeof chosen === 'string' ? createScheduler(chosen) : chosen;
    const trace = options.trace ?? noTrace;
    const events = new EventChannels({
      notify: (domid, vcpu) => known().wake(domid, vcpu),
      unblock: (domid, vcpu) => known().wake(domid, vcpu),
      isPaused: (domid) => known().byId(domid)?.paused ?? false,
      trace,
    });
    super({ cpu, memory, access, spaces, events, clock, timers, scheduler });
    this.cpu = cpu;
    this.memory = memory;
    this.access = access;
    this.spaces = spaces;
    this.events = events;
    this.clock = clock;
    this.timers = timers;
    this.completions = new Completions({
      now: () => clock.now,
      timers,
      stopsTime: clock.mode !== 'real',
      defer: (work) => this.defer(work),
    });
    this.scheduler = scheduler;
    this.trace = trace;
    this.log = options.log ?? silentLogger;
    this.info = new VcpuInfoFields(machine);
    this.scratchFrame = memory.frames.allocateXen();
    if (this.scratchFrame < 0)
      throw new InvariantError('The machine has no frame for the hypervisor itself.');
    this.grants = new GrantTables(
      grantMemory(
        memory,
        (domid) => this.natives.has(domid),
        (domid, gfn) => this.natives.get(domid)?.translate(gfn),
      ),
      grantMapper(
        memory,
        (domid) => (this.current?.domain.domid === domid ? this.current : undefined),
        (domid, reason) => this.byId(domid)?.crash(reason),
      ),
    );
    this.wallclockNs = inputs.wallclockNs();
    memory.onFrameGone = (domid, mfn) => this.zombies.get(domid)?.frameGone(mfn);
    memory.onRefused = (reason) => this.log.log('debug', 'memory', reason);
    cpu.onForeignFrame = (mfn, write) =>
      this.current !== undefined && this.grants.isMappedBy(this.current.domain.domid, mfn, write);
    const random = new BigUint64Array(1);
    cpu.onRandom = () => {
      inputs.randomFill(new Uint8Array(random.buffer));
      return random[0]!;
    };
    self.hv = this;
    this.checks = options.strict ? new Checks(this, options.checkInterval) : undefined;
  }

  byId(domid: number): Domain | undefined {
    return this.domains.get(domid);
  }

  exists(domid: number): boolean {
    return this.domains.has(domid) || this.natives.has(domid);
  }

  /** An event came up for a vCPU of a PV domain. */
  private wake(domid: number, vcpuId: number): void {
    const vcpu = this.domains.get(domid)?.vcpus[vcpuId];
    if (vcpu) this.unblockVcpu(vcpu);
    this.interrupt();
  }

  /** Runs `work` before the next guest instruction. */
  defer(work: () => void): void {
    this.deferred.push(work);
    this.interrupt();
  }

  /** There is something to do: whoever made it outside of the loop ends a sleep of the host. */
  private interrupt(): void {
    if (!this.looping) this.options.onInterrupt?.();
  }

  // ── Shutting down ──────────────────────────────────────────────────────────────────────────────────────────────

  /** The domain stops for good; the first reason given counts. */
  shutdownDomain(domain: Domain, reason: number): void {
    domain.shutdownCode ??= reason;
    if (domain.shuttingDown) return;
    domain.shuttingDown = true;
    const { current } = this;
    if (domain.shutdownCode === SHUTDOWN_crash || domain.shutdownCode === SHUTDOWN_watchdog) {
      domain.crashReport ??= reportCrash(this, domain, current, 'it asked for it, as after a panic');
    }
    for (const vcpu of domain.vcpus) this.refresh(vcpu);
    if (this.trace.wants('sched')) {
      const vcpu = current?.domain === domain ? current.vcpuId : 0;
      this.trace.emit({ class: 'sched', domid: domain.domid, vcpu, name: 'shutdown', args: { reason } });
    }
    const code = domain.shutdownCode;
    this.defer(() => this.options.onShutdown?.(domain, code));
  }

  /** The guest cannot go on. */
  crashDomain(domain: Domain, reason: string): void {
    if (domain.shuttingDown) return;
    this.log.log('error', 'domain', `Domain ${domain.domid} crashed: ${reason}.`);
    domain.crashReport = reportCrash(this, domain, this.current, reason);
    this.shutdownDomain(domain, SHUTDOWN_crash);
  }

  pauseDomain(domain: Domain): void {
    domain.paused = true;
    for (const vcpu of domain.vcpus) this.refresh(vcpu);
  }

  unpauseDomain(domain: Domain): void {
    domain.paused = false;
    for (const vcpu of domain.vcpus) this.refresh(vcpu);
  }

  // ── Dead domains ───────────────────────────────────────────────────────────────────────────────────────────────

  /** Memory of dead domains is coming back while `run` is called. */
  get isReleasing(): boolean {
    return this.firstRelease() !== undefined;
  }

  /** All memory of dead domains comes back at once, but for what others hold. */
  finishReleases(): void {
    for (let next = this.firstRelease(); next; next = this.firstRelease()) next.step();
  }

  private firstRelease(): Zombie | undefined {
    for (const zombie of this.zombies.values()) if (!zombie.isReleased) return zombie;
    return undefined;
  }

  /** Takes the first of them further apart. Returns what counts against the budget. */
  private releaseMemory(): number {
    const { work } = this.memory;
    const before = work.done;
    work.limited(() => this.firstRelease()?.step());
    return (work.done - before) * WORK_COST;
  }

  // ── The loop ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Runs guests for about `budget` instructions. */
  run(budget = 10_000_000): HostStatus {
    this.looping = true;
    try {
      return this.loop(budget);
    } finally {
      this.looping = false;
    }
  }

  private loop(budget: number): HostStatus {
    let { left, slice } = this.halted ?? { left: budget, slice: undefined };
    this.halted = undefined;
    if (slice && !this.isRunning(slice.vcpu)) slice = undefined;
    this.nativeRan = false;
    this.clock.beginSlice();
    for (;;) {
      this.timers.expire(this.clock.now);
      this.drainDeferred();
      // Time stands still until the outside world has answered, and goes on as if the answer had been there.
      if (this.completions.overdue) {
        this.halted = { left, slice };
        return { kind: 'idle', sleepNs: undefined };
      }
      if (left <= 0) return { kind: 'busy' };
      if (!slice) {
        if (this.zombies.size > 0) {
          left -= this.releaseMemory();
          if (left <= 0) continue;
        }
        const vcpu = this.scheduler.pick(this.clock.now);
        if (vcpu && !vcpu.runnable) continue;
        if (vcpu) slice = this.startSlice(vcpu, left);
      }
      if (slice) {
        this.runSlice(slice);
        if (this.completions.overdue && this.isRunning(slice.vcpu)) continue;
        left -= this.endOf(slice);
        slice = undefined;
        // One that polls, as GRUB does for its disk, is not to wait for the end of the budget.
        if (this.yielded && this.completions.needsTurn) return { kind: 'busy' };
        continue;
      }
      if (this.isReleasing) continue;
      if (!this.isAlive) return { kind: 'stopped' };
      // What native domains do in promises comes before time passes. (The wall's clock does not wait for them.)
      if (this.nativeRan && this.clock.mode !== 'real') return { kind: 'busy' };
      const sleepNs = this.clock.idle(earliest(this.timers.next, this.scheduler.heldUntil));
      if (sleepNs !== 0) return { kind: 'idle', sleepNs };
      left -= JUMP_COST;
    }
  }

  /** Somebody may still do something. Domain 0 only serves the others. */
  private get isAlive(): boolean {
    for (const domain of this.domains.values()) if (!domain.stopped) return true;
    for (const { settings, dying } of this.natives.values()) if (!settings.privileged && !dying) return true;
    return false;
  }

  /** Whether the vCPU has the processor, and nobody has told it to wait. */
  private isRunning(vcpu: Vcpu): boolean {
    return vcpu === this.current && vcpu.runnable && vcpu.runstate.state === RUNSTATE.running;
  }

  /** Gives a vCPU the processor. @param limit what may count against the budget */
  private startSlice(vcpu: Vcpu, limit: number): Slice {
    this.clock.beginSlice();
    if (this.switchTo(vcpu)) reloadSegments(this, vcpu);
    this.endSlice = this.yielded = false;
    const start = this.clock.now;
    const end = start + Math.min(this.scheduler.sliceNs(vcpu), limit);
    return { vcpu, start, end, limit, exitCost: 0, workBefore: this.memory.work.done };
  }

  /** What a slice has cost beside its instructions. */
  private costOf({ exitCost, workBefore }: Slice): number {
    return exitCost + (this.memory.work.done - workBefore) * WORK_COST;
  }

  /** Runs a vCPU until its slice ends, it cannot go on, or time has to stand still. */
  private runSlice(slice: Slice): void {
    const { clock, cpu, timers } = this;
    const { vcpu, start, end, limit } = slice;
    const { tables } = this.memory;
    const { domid } = vcpu.domain;
    while (vcpu.runnable && !this.endSlice) {
      if ((timers.next ?? Number.POSITIVE_INFINITY) <= clock.now) timers.expire(clock.now);
      if (this.deferred.length > 0) this.drainDeferred();
      if (clock.now >= end || this.endSlice || !vcpu.runnable || this.completions.overdue) break;
      if (clock.now - start + this.costOf(slice) >= limit) break;
      if (tables.dropped.has(domid)) {
        this.dropTables(vcpu);
        continue;
      }
      prepareReturn(this, vcpu);
      if (!vcpu.runnable) break;
      const until = Math.min(end, timers.next ?? end);
      cpu.tsc = BigInt(clock.now);
      const stepped = hasBreakpoints(vcpu);
      const exit = cpu.run(Math.min(Math.max(until - clock.now, 1), stepped ? STEPPED_BUDGET : MAX_BUDGET));
      slice.exitCost += EXIT_COST + (stepped ? cpu.retired * STEP_COST : 0);
      this.account(vcpu, cpu.retired);
      this.leave(vcpu, exit);
    }
  }

  /** The slice is over. @returns the instructions that count against the budget */
  private endOf(slice: Slice): number {
    const { clock } = this;
    const { vcpu, start } = slice;
    if (!vcpu.runnable) this.suspendPeriodic(vcpu);
    const counted = clock.now - start;
    // A slice costs the time that it took, which the wall clock knows better than the instructions do.
    clock.beginSlice();
    if (this.current === vcpu) this.scheduler.ran(vcpu, clock.now - start, this.yielded);
    return Math.max(counted + this.costOf(slice), 1);
  }

  /** For tests: does what the processor stopped for, as the main loop would. */
  handle(exit: ExitKind): void {
    const { current } = this;
    if (!current) return;
    this.leave(current, exit);
    while (this.memory.tables.dropped.has(current.domain.domid)) this.dropTables(current);
  }

  private account(vcpu: Vcpu, instructions: number): void {
    this.clock.advance(instructions);
    vcpu.retired += instructions;
    this.retired += instructions;
  }

  private leave(vcpu: Vcpu, exit: ExitKind): void {
    this.guarded(vcpu, () => {
      const retired = handleExit(this, vcpu, exit);
      this.account(vcpu, retired);
      // Whatever a guest does costs time, so that no loop of faults stops the clock.
      if (retired === 0) this.clock.advance(1);
    });
  }

  /** A domain that has given up page tables takes them apart before it goes on: as many as one hypercall may. */
  private dropTables(vcpu: Vcpu): void {
    const { tables, work } = this.memory;
    this.guarded(vcpu, () => work.limited(() => tables.dropped.drain(vcpu.domain.domid)));
  }

  /** What is done for a guest. An error of ours is the end of it, not of the host. */
  private guarded(vcpu: Vcpu, work: () => void): void {
    try {
      work();
      this.checks?.afterExit();
    } catch (error) {
      this.crashDomain(
        vcpu.domain,
        `internal error: ${error instanceof Error ? error.message : String(error)}`,
      );
      if (this.options.strict) throw error;
    }
  }

  private drainDeferred(): void {
    // What is deferred meanwhile is done in the same go, in order.
    for (let work = this.deferred.shift(); work; work = this.deferred.shift()) {
      this.nativeRan = true;
      work();
    }
  }
}
