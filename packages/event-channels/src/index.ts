export { PORT_STATE, type PortState } from './channel.js';
export type { DomainOptions } from './domain-events.js';
export { EventChannels, type EventChannelsOptions } from './event-channels.js';
export type { GuestPages, SharedPages, Wakeups } from './shared-pages.js';
export type { PortStatus } from './status.js';
export { isGlobalVirq } from './virq.js';
