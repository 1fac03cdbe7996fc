export * from './processor.js';
export { compileInterpreter, X86Processor } from './x86/processor.js';
