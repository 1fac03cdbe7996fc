import type { PvKernel } from '@xenolith/domain-builder';
import type { GrantLimits } from '@xenolith/grant-tables';
import type { DiskConfig } from './devices/disk.js';
import type { VifConfig } from './devices/vif.js';
import type { DomainResult } from './result.js';
import type { ShutdownAction } from './shutdown-action.js';

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
  /** How far it may grow (`maxmem`); default: `memoryMiB`. */
  maxMemoryMiB?: number;
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
  /** It is to serve devices to other guests: libxl gives it some nodes of its own in xenstore. Default false. */
  driverDomain?: boolean;
  disks?: readonly DiskConfig[];
  /** Network interfaces, numbered from 0. */
  vifs?: readonly VifConfig[];
  /** Limits of its grants, as `max_grant_frames` and its like of xl.cfg. Default: Xen's. */
  grants?: GrantLimits;
  /** Unique in the host, and not only digits. Default `guest`, or `guest-2` and so on. */
  name?: string;
  /** Unique in the host. Default: random, from the host's inputs. */
  uuid?: string;
  /** What happens when the guest has shut down, crashed or hung. Default `destroy`, for `onReboot` `restart`. */
  onPoweroff?: ShutdownAction;
  onReboot?: ShutdownAction;
  onCrash?: ShutdownAction;
  onWatchdog?: ShutdownAction;
  onSoftReset?: ShutdownAction;
  /** Where the files came from, for xenstore's `/vm/UUID/image`. */
  kernelPath?: string;
  ramdiskPath?: string;
  /** Gets what the guest prints on its console: bytes that it may keep. Must not throw. */
  onConsole?(bytes: Uint8Array): void;
  /** The console takes input again, after `sendConsole` had to refuse some; also after a restart. */
  onConsoleRoom?(): void;
  /** It has shut down or crashed, and this is done now. Must not throw. */
  onShutdown?(how: DomainResult, action: ShutdownAction): void;
  /** Allows CONSOLEIO_write, as a debug build of Xen does, and gets what is written with it. */
  onConsoleIo?(bytes: Uint8Array): void;
}
