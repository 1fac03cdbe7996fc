/** PV memory policy: page-table validation, the memory hypercalls, and their checks. */
export * from './descriptors.js';
export { DomainRelease } from './domain-release.js';
export * from './grant-mapping.js';
export type * from './interfaces.js';
export { MEMORY_OPERATIONS, memoryOp } from './memory-op.js';
export { MMU_OPERATIONS, mmuUpdate } from './mmu-update.js';
export { MMUEXT_OPERATIONS, mmuextOp } from './mmuext-op.js';
export { emulatePtWrite, ptWriteFrame } from './pt-write.js';
export { PvMemory } from './pv-memory.js';
export { checkTouchedFrames, type ExtraReferences, recountFrames } from './recount.js';
export { updateVaMapping, updateVaMappingOtherDomain } from './update-va-mapping.js';
