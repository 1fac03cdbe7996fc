/** The frame table as a checked state machine, and the machine-to-physical table. */
export * from './frame-table.js';
export * from './m2p.js';
export * from './types.js';
