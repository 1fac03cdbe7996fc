export * from './back-ring.js';
export * from './byte-ring.js';
export * from './console-ring.js';
export * from './front-ring.js';
export * from './ring-memory.js';
export type { RequestRingOptions } from './slots.js';
export * from './xenstore-ring.js';
