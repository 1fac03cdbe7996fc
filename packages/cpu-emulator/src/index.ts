export * from './processor.js';
export { disassemble } from './x86/disassemble.js';
export { compileInterpreter, X86Processor } from './x86/processor.js';
