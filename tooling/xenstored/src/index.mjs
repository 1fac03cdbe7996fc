export { fileMemory } from './file-memory.mjs';
export { RealXenstored, realXenstored } from './real-xenstored.mjs';
