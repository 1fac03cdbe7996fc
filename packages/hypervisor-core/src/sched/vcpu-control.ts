import type { Processor } from '@xenolith/cpu-emulator';
import type { EventChannels } from '@xenolith/event-channels';
import { VcpuRunstateInfo, VIRQ_TIMER } from '@xenolith/xen-abi';
import { CR0 } from '../arch/x86.js';
import type { AddressSpaces } from '../domain/address-spaces.js';
import type { InitialRegisters, Vcpu } from '../domain/vcpu.js';
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
      vcpu.runstate.change(
        vcpu.initialised && !vcpu.down && vcpu.blocked ? RUNSTATE.blocked : RUNSTATE.offline,
        clock.now,
      );
      scheduler.sleep(vcpu);
    }
  }

  // ── The processor ──────────────────────────────────────────────────────────────────────────────────────────────

  /** Loads the vCPU into the processor and accounts for it as running. */
  switchTo(vcpu: Vcpu): void {
    const { cpu, spaces, clock } = this.parts;
    const previous = this.current;
    if (previous !== vcpu) {
      if (previous) this.switchFrom(previous);
      this.current = vcpu;
      cpu.setDomain(vcpu.domain.domid);
      if (vcpu.initial) this.loadInitial(vcpu, vcpu.initial);
      else if (vcpu.saved) cpu.loadState(vcpu.saved);
      cpu.taskSwitched = (vcpu.cr0 & CR0.ts) !== 0n;
      spaces.activate(vcpu);
    }
    if (vcpu.runstate.state !== RUNSTATE.running) {
      vcpu.runstate.change(RUNSTATE.running, clock.now);
      this.updateAreas(vcpu);
      this.periodicWork(vcpu);
    }
  }

  /** Forgets a vCPU, whose domain goes. */
  drop(vcpu: Vcpu): void {
    this.parts.scheduler.remove(vcpu);
    if (this.current !== vcpu) return;
    this.current = undefined;
    this.parts.spaces.current = undefined;
  }

  private switchFrom(vcpu: Vcpu): void {
    const { cpu, clock, timers } = this.parts;
    vcpu.saved ??= new Uint8Array(cpu.stateSize);
    cpu.saveState(vcpu.saved);
    if (vcpu.runstate.state === RUNSTATE.running) vcpu.runstate.change(RUNSTATE.runnable, clock.now);
    timers.cancel(vcpu.periodic);
    vcpu.periodic = undefined;
  }

  private loadInitial(vcpu: Vcpu, initial: InitialRegisters): void {
    const { cpu } = this.parts;
    const { regs } = cpu;
    vcpu.initial = undefined;
    cpu.resetState();
    initial.gpr.forEach((value, n) => {
      regs.gpr[n] = value;
    });
    regs.rip = initial.rip;
    regs.rflags = initial.rflags;
    initial.selectors.forEach((value, n) => {
      regs.selectors[n] = value;
    });
    regs.fsBase = initial.fsBase;
    regs.gsBase = initial.gsBase;
    regs.cpl = 3;
    regs.long = true;
    if (initial.fpu) {
      // SSE state of the FXSAVE image: MXCSR at 24, XMM0–15 from 160.
      regs.mxcsr = new DataView(initial.fpu.buffer, initial.fpu.byteOffset).getUint32(24, true);
      regs.xmm.set(initial.fpu.subarray(160, 160 + 256));
    }
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

  /** @param period nanoseconds; 0 stops it. It ticks only while the vCPU runs. */
  setPeriodic(vcpu: Vcpu, period: number): void {
    this.parts.timers.cancel(vcpu.periodic);
    vcpu.periodic = undefined;
    vcpu.periodNs = period;
    this.periodicWork(vcpu);
  }

  private periodicWork(vcpu: Vcpu): void {
    if (vcpu.periodNs === 0 || vcpu.runstate.state !== RUNSTATE.running) return;
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

  /** A `vcpu_runstate_info` up to now. */
  runstateBytes(vcpu: Vcpu): Uint8Array {
    const info = VcpuRunstateInfo.create();
    const { runstate } = vcpu;
    const { now } = this.parts.clock;
    info.state = runstate.state;
    info.state_entry_time = BigInt(runstate.since);
    for (let n = 0; n < 4; n++) info.time.set(n, BigInt(runstate.total(n, now)));
    return new Uint8Array(info.$view.buffer);
  }

  updateTime(vcpu: Vcpu): void {
    updateTimeRecord(this.parts.memory.machine, vcpu, this.parts.clock.now);
    if (vcpu === this.current) this.updateAreas(vcpu);
  }

  /** The runstate and time areas that the running vCPU registered, in its kernel's address space. */
  private updateAreas(vcpu: Vcpu): void {
    if (vcpu.runstateArea === 0n && !vcpu.timeAreaStale) return;
    const { access, memory, spaces } = this.parts;
    spaces.withKernelTables(vcpu, () => {
      if (vcpu.runstateArea !== 0n) access.copyTo(vcpu.runstateArea, this.runstateBytes(vcpu));
      if (vcpu.timeAreaStale) updateTimeArea(memory.machine, access, vcpu);
    });
  }
}
