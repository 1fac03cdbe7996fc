export { UnavailableError } from './apt.mjs';
export { writeCpio } from './cpio.mjs';
export { buildInitramfs, busyboxInitramfs } from './initramfs.mjs';
export { moduleEntries } from './modules.mjs';
export { cacheDirectory, debianPieces, fetchDebianPieces } from './pieces.mjs';
export { debianRoot, fetchDebianRoot } from './root.mjs';
