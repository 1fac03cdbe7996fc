import type { Processor } from '@xenolith/cpu-emulator';
import type { EventChannels } from '@xenolith/event-channels';
import { VcpuRunstateInfo, VIRQ_TIMER } from '@xenolith/xen-abi';
import { CR0 } from '../arch/x86.js';
import type { AddressSpaces } from '../domain/address-spaces.js';
import { loadBreakpoints } from '../domain/debug-registers.js';
import { loadInitialRegisters } from '../domain/initial-registers.js';
import type { Vcpu } from '../domain/vcpu.js';
import type { CurrentGuestAccess } from '../guest-access.js';
import type { PvMemory } from '../memory/index.js';
import type { HostClock } from '../time/clock.js';
import { updateTimeArea, updateTimeRecord } from '../time/time-records.js';
import type { TimerQueue } from '../time/timers.js';
import { RUNSTATE } from './runstate.js';
import type { Scheduler } from './scheduler.js';

/** What `VcpuControl` works on. */
export interface VcpuControlParts {
  readonly cpu: Processor;
  readonly memory: PvMemory;
  readonly access: CurrentGuestAccess;
  readonly spaces: AddressSpaces;
  readonly events: EventChannels;
  readonly clock: HostClock;
  readonly timers: TimerQueue;
  readonly scheduler: Scheduler;
}

/** Switching, blocking and waking vCPUs, their timers, and the accounts that guests see of them. */
export class VcpuControl {
  /** The vCPU whose registers are in the processor. */
  current: Vcpu | undefined;
  /** Set to end the running slice; `yielded` when the vCPU asked for it. */
  endSlice = false;
  yielded = false;

  constructor(private readonly parts: VcpuControlParts) {}

  // ── Running and waiting ────────────────────────────────────────────────────────────────────────────────────────

  yieldVcpu(): void {
    this.endSlice = true;
    this.yielded = true;
  }

  blockVcpu(vcpu: Vcpu): void {
    vcpu.blocked = true;
    this.refresh(vcpu);
  }

  /** Ends a wait in SCHEDOP_block or SCHEDOP_poll; nothing happens to a vCPU that does not wait. */
  unblockVcpu(vcpu: Vcpu): void {
    if (!vcpu.blocked) return;
    vcpu.blocked = false;
    if (vcpu.polling) {
      vcpu.polling = undefined;
      this.parts.events.stopPolling(vcpu.domain.domid, vcpu.vcpuId);
      this.parts.timers.cancel(vcpu.pollTimer);
      vcpu.pollTimer = undefined;
    }
    this.refresh(vcpu);
  }

  bringUp(vcpu: Vcpu): void {
    if (!vcpu.down) return;
    vcpu.down = false;
    this.updateTime(vcpu);
    this.refresh(vcpu);
  }

  takeDown(vcpu: Vcpu): void {
    vcpu.down = true;
    this.refresh(vcpu);
  }

  /** To be called after anything changed that decides whether the vCPU may run. */
  refresh(vcpu: Vcpu): void {
    const { scheduler, clock } = this.parts;
    if (vcpu.runnable) {
      if (vcpu.runstate.state === RUNSTATE.running && vcpu === this.current) return;
      vcpu.runstate.change(RUNSTATE.runnable, clock.now);
      if (scheduler.wake(vcpu)) this.endSlice = true;
    } else {
      // Blocked dominates (vcpu.h): also of a vCPU that is down or whose domain is paused.
      vcpu.runstate.change(vcpu.blocked ? RUNSTATE.blocked : RUNSTATE.offline, clock.now);
      scheduler.sleep(vcpu);
    }
  }

  // ── The processor ──────────────────────────────────────────────────────────────────────────────────────────────

  /** Loads the vCPU into the processor and accounts for it as running. Returns false if it was there already. */
  switchTo(vcpu: Vcpu): boolean {
    const { cpu, spaces, clock } = this.parts;
    const previous = this.current;
    if (previous !== vcpu) {
      if (previous) this.switchFrom(previous);
      this.current = vcpu;
      cpu.setDomain(vcpu.domain.domid);
      if (vcpu.initial) loadInitialRegisters(cpu, vcpu.initial);
      else if (vcpu.saved) cpu.loadState(vcpu.saved);
      vcpu.initial = undefined;
      cpu.taskSwitched = (vcpu.cr0 & CR0.ts) !== 0n;
      spaces.activate(vcpu);
      loadBreakpoints(cpu, vcpu);
    }
    if (vcpu.runstate.state !== RUNSTATE.running) {
      vcpu.runstate.change(RUNSTATE.running, clock.now);
      this.updateAreas(vcpu);
      this.periodicWork(vcpu);
    }
    return previous !== vcpu;
  }

  /** Forgets a vCPU, whose domain goes. */
  drop(vcpu: Vcpu): void {
    this.parts.scheduler.remove(vcpu);
    if (this.current !== vcpu) return;
    this.current = undefined;
    this.parts.spaces.current = undefined;
  }

  private switchFrom(vcpu: Vcpu): void {
    const { cpu, clock } = this.parts;
    if (vcpu.runstate.state === RUNSTATE.running) vcpu.runstate.change(RUNSTATE.runnable, clock.now);
    this.suspendPeriodic(vcpu);
    // The other vCPUs see there that it does not run: Linux does not spin for the holder of a lock that cannot go on.
    this.updateAreas(vcpu);
    vcpu.saved ??= new Uint8Array(cpu.stateSize);
    cpu.saveState(vcpu.saved);
  }

  // ── Timers ─────────────────────────────────────────────────────────────────────────────────────────────────────

  startSingleshot(vcpu: Vcpu, deadline: number): void {
    this.stopSingleshot(vcpu);
    if (deadline < this.parts.clock.now) this.timerEvent(vcpu);
    else vcpu.singleshot = this.parts.timers.set(deadline, () => this.timerEvent(vcpu));
  }

  stopSingleshot(vcpu: Vcpu): void {
    this.parts.timers.cancel(vcpu.singleshot);
    vcpu.singleshot = undefined;
  }

  /**
   * @param period nanoseconds; 0 stops it. It ticks while the vCPU runs; one that is set for a vCPU that waits ticks for it
   * until it has run
   */
  setPeriodic(vcpu: Vcpu, period: number): void {
    this.suspendPeriodic(vcpu);
    vcpu.periodNs = period;
    this.periodicWork(vcpu);
  }

  /** The vCPU leaves the processor, and its periodic timer stops until it comes back. */
  suspendPeriodic(vcpu: Vcpu): void {
    this.parts.timers.cancel(vcpu.periodic);
    vcpu.periodic = undefined;
  }

  private periodicWork(vcpu: Vcpu): void {
    if (vcpu.periodNs === 0) return;
    const { clock, timers } = this.parts;
    const { now } = clock;
    let next = vcpu.lastPeriodic + vcpu.periodNs;
    if (now >= next) {
      this.timerEvent(vcpu);
      vcpu.lastPeriodic = now;
      next = now + vcpu.periodNs;
    }
    timers.cancel(vcpu.periodic);
    vcpu.periodic = timers.set(next, () => this.periodicWork(vcpu));
  }

  private timerEvent(vcpu: Vcpu): void {
    this.parts.events.raiseVirq(vcpu.domain.domid, VIRQ_TIMER, vcpu.vcpuId);
  }

  // ── What guests see ────────────────────────────────────────────────────────────────────────────────────────────

  /** A `vcpu_runstate_info` with the times up to `now`. */
  runstateBytes({ runstate }: Vcpu, now = this.parts.clock.now): Uint8Array {
    const info = VcpuRunstateInfo.create();
    info.state = runstate.state;
    info.state_entry_time = BigInt(runstate.since);
    for (let n = 0; n < 4; n++) info.time.set(n, BigInt(runstate.total(n, now)));
    return new Uint8Array(info.$view.buffer);
  }

  updateTime(vcpu: Vcpu): void {
    updateTimeRecord(this.parts.memory.machine, vcpu, this.parts.clock.now);
    if (vcpu === this.current) this.updateAreas(vcpu);
  }

  /**
   * The runstate and time areas that the vCPU in the processor registered, in its kernel's address space. The times are
   * those at the last change of state: guests add what has passed since (`state_entry_time`) themselves.
   */
  private updateAreas(vcpu: Vcpu): void {
    if (vcpu.runstateArea === 0n && !vcpu.timeAreaStale) return;
    const { access, memory, spaces } = this.parts;
    spaces.withKernelTables(vcpu, () => {
      if (vcpu.runstateArea !== 0n) {
        access.copyTo(vcpu.runstateArea, this.runstateBytes(vcpu, vcpu.runstate.since));
      }
      if (vcpu.timeAreaStale) updateTimeArea(memory.machine, access, vcpu);
    });
  }
}
