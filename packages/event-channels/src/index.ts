export { PORT_STATE, type PortState } from './channel.js';
export type { DomainOptions } from './domain-events.js';
export { EventChannels, type EventChannelsOptions, type PortStatus } from './event-channels.js';
export type { SharedPages, Wakeups } from './two-level.js';
export { isGlobalVirq } from './virq.js';
