import type { GrantLimits } from '@xenolith/grant-tables';
import type { FrameTable } from '@xenolith/mmu/frames';
import { EBUSY } from '@xenolith/xen-abi';
import type { MemoryRange, PvDomain } from '../memory/interfaces.js';
import type { Pit } from '../time/pit.js';
import type { Timer } from '../time/timers.js';
import type { RecentEvent } from './recent.js';
import { Vcpu } from './vcpu.js';

/** Registers and recent events of one vCPU of a domain that crashed. */
export interface VcpuReport {
  vcpu: number;
  state: VcpuState;
  /** rax rcx rdx rbx rsp rbp rsi rdi r8…r15 */
  gpr: bigint[];
  rip: bigint;
  rflags: bigint;
  /** ES CS SS DS FS GS */
  selectors: number[];
  fsBase: bigint;
  gsBase: bigint;
  cr2: bigint;
  /** Frame of the L4 table. */
  cr3: bigint;
  kernelMode: boolean;
  /** Up to 15 bytes at rip; fewer where memory is not mapped. */
  code: Uint8Array;
  /** Top of the stack, up to 16 words. */
  stack: bigint[];
  recent: RecentEvent[];
}

/** Whether a vCPU was running, could have, waited for an event, or was not up. */
export type VcpuState = 'running' | 'runnable' | 'blocked' | 'down';

/** What is known of a domain that crashed: the vCPU that was running (or the first one), and why. */
export interface CrashReport extends VcpuReport {
  reason: string;
  /** Its other vCPUs that were initialised, by number. */
  others: VcpuReport[];
}

/** Settings of a new domain. */
export interface DomainSettings {
  /** Default: the next free number, from 1. */
  domid?: number;
  name?: string;
  /** UUID, 16 bytes: what XENVER_guest_handle answers. */
  handle?: Uint8Array;
  /** Pages of 4 KiB to give to the domain at once. */
  memoryPages: number;
  /** Upper limit for ballooning. Default: `memoryPages`. */
  maxPages?: number;
  /** 1 … 128 */
  vcpus: number;
  /** What XENMEM_memory_map answers; none: ENOSYS. */
  memoryMap?: readonly MemoryRange[];
  /** Highest event-channel port. Default 1023. */
  maxEventPort?: number;
  /** What its grant table may come to. Default: as much as Xen gives. */
  grants?: GrantLimits;
  /** Share of the processor beside other domains, for the credit scheduler: 1 … 65535. Default 256. */
  weight?: number;
  /** Most that it may use, in percent of a physical processor; 0, the default, is no limit. For the credit scheduler. */
  cap?: number;
  /** May use CONSOLEIO_write although it is no dom0 (a debug build of Xen allows it). */
  consoleIo?: (bytes: Uint8Array) => void;
  /** Bytes waiting for CONSOLEIO_read, at most `max`. */
  consoleIn?: (max: number) => Uint8Array;
}

/** Xen's CSCHED_DEFAULT_WEIGHT. */
const DEFAULT_WEIGHT = 256;
export const MAX_WEIGHT = 65535;

/** One PV domain. */
export class Domain implements PvDomain {
  totPages = 0;
  readonly vcpus: Vcpu[] = [];
  dying = false;
  /** Frame of shared_info. */
  sharedInfo = 0;
  /** Machine frame of each pseudo-physical page as the domain was built. */
  p2m: Uint32Array = new Uint32Array(0);
  /** It has a grant table. */
  hasGrants = false;
  /** Bits of VMASST_TYPE_*. */
  vmAssist = 0n;
  /** SHUTDOWN_* once the domain has shut down or announced its reason. */
  shutdownCode: number | undefined;
  shuttingDown = false;
  paused = true;
  crashReport: CrashReport | undefined;
  /** Last index written to RTC port 0x70. */
  cmosIndex = 0;
  pciAddress = 0;
  /** What XENMEM_memory_map answers; the guest may replace it. */
  memoryMap: readonly MemoryRange[];
  readonly weight: number;
  readonly cap: number;
  /** Physical interrupts that it has reserved (PHYSDEVOP_get_free_pirq). */
  readonly pirqs = new Set<number>();
  readonly watchdogs: (Timer | undefined)[] = [undefined, undefined];
  /** Offset of the domain's wall clock to the host's, in seconds. */
  timeOffset = 0;

  constructor(
    readonly domid: number,
    readonly settings: DomainSettings,
    readonly pit: Pit,
    private readonly onCrash: (domain: Domain, reason: string) => void,
  ) {
    this.memoryMap = settings.memoryMap ?? [];
    this.weight = settings.weight ?? DEFAULT_WEIGHT;
    this.cap = settings.cap ?? 0;
    for (let id = 0; id < settings.vcpus; id++) this.vcpus.push(new Vcpu(this, id));
  }

  get name(): string {
    return this.settings.name ?? `d${this.domid}`;
  }

  maxPages = 0;

  get stopped(): boolean {
    return this.paused || this.shuttingDown || this.dying;
  }

  hasAssist(type: number): boolean {
    return ((this.vmAssist >> BigInt(type)) & 1n) !== 0n;
  }

  private readonly held = new Map<string, number>();

  /** Keeps a page of the domain's that the caller took a reference and a writable use of, until the domain goes. */
  holdPage(use: string, mfn: number, frames: FrameTable): number {
    if (this.held.has(use)) {
      frames.putPageAndType(mfn);
      return -EBUSY;
    }
    this.held.set(use, mfn);
    return 0;
  }

  /** Frames kept by `holdPage`. */
  heldPages(): Iterable<number> {
    return this.held.values();
  }

  releasePages(frames: FrameTable): void {
    for (const mfn of this.held.values()) frames.putPageAndType(mfn);
    this.held.clear();
  }

  crash(reason: string): void {
    this.onCrash(this, reason);
  }
}
