export * from './console-backend.js';
export * from './console-frontend.js';
export * from './terminal.js';
