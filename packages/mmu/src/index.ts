export * from './layout.js';
export * from './machine-memory.js';
