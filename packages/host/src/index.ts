export type { Disk, DiskConfig } from './devices/disk.js';
export type { GuestDisks } from './devices/guest-disks.js';
export type { GuestVifs } from './devices/guest-vifs.js';
export type { NetworkService } from './devices/network-service.js';
export type { Vif, VifConfig, VifRate } from './devices/vif.js';
export type { DomainConfig } from './domain-config.js';
export type { DomainInfo } from './domain-info.js';
export { type EventLoop, webEventLoop } from './event-loop.js';
export type { GuestDomain } from './guest-domain.js';
export { createHost, Host, type HostOptions } from './host.js';
export { type FixedInputs, fixedInputs, systemInputs } from './inputs.js';
export { loadKernel } from './kernel.js';
export type { KernelGuest, NativeConfig, NativeDomain, NativeResult } from './native-domain.js';
export { createNativeGuest, type NativeGuest } from './native-guest.js';
export { buildPv, type PvDomain, type PvDomainConfig } from './pv-domain.js';
export type { DomainResult, ShutdownReason } from './result.js';
export { SHUTDOWN_ACTIONS, type ShutdownAction } from './shutdown-action.js';
export { type ExitName, Statistics } from './statistics.js';
export { XenstoreService } from './xenstore-service.js';
export {
  type DiskFormat,
  type DiskSpec,
  type PortSpec,
  type Position,
  parseDiskSpec,
  parseVifSpec,
  parseXlConfig,
  parseXlSyntax,
  type VifSpec,
  type XlConfig,
  type XlSetting,
  type XlValue,
} from './xl-config/index.js';
