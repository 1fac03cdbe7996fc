export { ByteWriter } from './bytes.js';
export * from './expr.js';
export * from './floats.js';
export * from './function-builder.js';
export * from './integers.js';
export { ModuleBuilder } from './module-builder.js';
export * from './v128.js';
