export { createDomain, createNativeDomain, destroyDomain } from './domain/create.js';
export type { CrashReport, Domain, DomainSettings } from './domain/domain.js';
export { fillHypercallPage } from './domain/hypercall-page.js';
export type { NativeDomain, NativeDomainSettings } from './domain/native-domain.js';
export type { RecentEvent } from './domain/recent.js';
export { type GuestContext, setInfoGuest } from './domain/set-info-guest.js';
export type { InitialRegisters, Vcpu } from './domain/vcpu.js';
export { HYPERCALLS, type Hypercall, operationName } from './hypercalls/table.js';
export { type HostStatus, Hypervisor, type HypervisorOptions } from './hypervisor.js';
export {
  checkTouchedFrames,
  type ExtraReferences,
  type MemoryRange,
  type PvMemory,
  recountFrames,
} from './memory/index.js';
export { RoundRobinScheduler, type Scheduler } from './sched/scheduler.js';
export { type ClockMode, HostClock } from './time/clock.js';
export { type Timer, TimerQueue } from './time/timers.js';
export { vectorName } from './traps/inject.js';
export { XEN_VERSION } from './version.js';
