export type * from './clock.js';
export type * from './event-channels.js';
export type * from './grants.js';
export type * from './guest.js';
export type * from './memory.js';
export type * from './xenstore.js';
