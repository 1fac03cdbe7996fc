import { XEN_CR0 } from '../arch/x86.js';
import type { PvVcpu } from '../memory/interfaces.js';
import { Runstate } from '../sched/runstate.js';
import type { Timer } from '../time/timers.js';
import type { Domain } from './domain.js';
import type { InitialRegisters } from './initial-registers.js';
import { RecentEvents } from './recent.js';
import { TrapTable } from './trap-table.js';

/** An entry point that the guest registered with CALLBACKOP_register. */
export interface Callback {
  /** 0: none registered. */
  address: bigint;
  masksEvents: boolean;
}

const noCallback = (): Callback => ({ address: 0n, masksEvents: false });

/** An address-space id and the round of ids in which it was given; round −1: none. */
export interface AsidSlot {
  id: number;
  round: number;
}

/** One virtual processor of a PV domain. While it is the running one its registers are in the processor, not here. */
export class Vcpu implements PvVcpu {
  // What the memory policy keeps.
  guestTable = 0;
  guestTableUser = 0;
  gdtFrames: number[] = [];
  gdtEntries = 0;
  ldtBase = 0n;
  ldtEntries = 0;
  readonly ldtFrames = new Uint32Array(16);
  keptTables: readonly number[] = [];

  /** TF_kernel_mode: the guest's kernel runs (both modes run in ring 3). */
  kernelMode = true;
  readonly kernelAsid: AsidSlot = { id: 0, round: -1 };
  readonly userAsid: AsidSlot = { id: 0, round: -1 };
  /** The processor state of a vCPU that is not the running one. */
  saved: Uint8Array | undefined;
  /** Registers to start with, until it runs for the first time. */
  initial: InitialRegisters | undefined;

  // Why it may not run: it runs when it is initialised, and none of these holds.
  initialised = false;
  down = true;
  blocked = false;
  /** SCHEDOP_poll: ports it waits for; undefined when it does not poll. */
  polling: readonly number[] | undefined;

  // Traps and callbacks.
  readonly traps = new TrapTable();
  event = noCallback();
  failsafe = noCallback();
  syscall = noCallback();
  syscall32 = noCallback();
  sysenter = noCallback();
  kernelSs = 0;
  kernelSp = 0n;
  /** TRAP_syscall: the return to the guest is a SYSRET, which loads rcx and r11. */
  returnsBySysret = false;
  nmiPending = false;
  nmiMasked = false;

  // Virtual control and debug registers.
  cr0 = XEN_CR0;
  cr2 = 0n;
  cr4 = 0n;
  readonly dr = new BigUint64Array(4);
  dr6 = 0xffff_0ff0n;
  dr7 = 0x400n;
  /** Bits of DR6 for the instruction that is being emulated. */
  debugMet = 0n;
  /** Virtual IOPL 0 … 3. */
  iopl = 0;
  ioBitmap = 0n;
  ioBitmapPorts = 0;
  /** The GS base of the mode that does not run. */
  gsBaseKernel = 0n;
  gsBaseUser = 0n;
  tscAux = 0;
  specCtrl = 0n;
  efer = 0xd01n;

  /** Machine address of its vcpu_info, 0 none (beyond the legacy 32 and not registered yet). */
  vcpuInfo = 0;
  /** Frame that VCPUOP_register_vcpu_info named, 0 none. */
  vcpuInfoFrame = 0;
  /** Guest addresses of registered records, 0 none. */
  runstateArea = 0n;
  timeArea = 0n;
  timeAreaStale = false;
  readonly runstate = new Runstate();

  singleshot: Timer | undefined;
  periodic: Timer | undefined;
  pollTimer: Timer | undefined;
  periodNs = 0;
  lastPeriodic = 0;

  /** Instructions retired by this vCPU. */
  retired = 0;
  readonly recent = new RecentEvents();

  constructor(
    readonly domain: Domain,
    readonly vcpuId: number,
  ) {}

  get runnable(): boolean {
    return this.initialised && !this.down && !this.blocked && !this.domain.stopped;
  }
}
