export * from './errors.js';
export * from './inputs.js';
export * from './logger.js';
export * from './trace.js';
