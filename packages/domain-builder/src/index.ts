export { type ElfImage, type ElfSection, type ElfSegment, isElf, parseElf } from './elf/elf.js';
export { formatKernelReport } from './inspect/format.js';
export { type InspectOptions, inspectKernel, type KernelReport } from './inspect/inspect.js';
export { type BuildOptions, type BuiltDomain, buildPvDomain } from './pv/build.js';
export { ArrayTarget, type BuildTarget } from './pv/build-target.js';
export { checkFeatures, type FeatureSet, featureNames, parseFeatures } from './pv/features.js';
export { type PvKernel, parsePvKernel } from './pv/kernel.js';
export { layoutPvDomain, type PvLayout, type Region } from './pv/layout.js';
export { readPvNotes } from './pv/notes.js';
export type { Mapping, TableRange } from './pv/page-tables.js';
export type { NoteSource, PvNotes } from './pv/pv-notes.js';
export type { BzImage } from './unpack/bzimage.js';
export type { Compression } from './unpack/compression.js';
export {
  type KernelCache,
  type UnpackedKernel,
  type UnpackOptions,
  unpackKernel,
} from './unpack/unpack-kernel.js';
