export * from './accesses.js';
export * from './control.js';
export * from './layout.js';
export * from './machine-memory.js';
export * from './walker.js';
