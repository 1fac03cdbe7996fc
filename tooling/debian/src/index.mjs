export { UnavailableError } from './apt.mjs';
export { writeCpio } from './cpio.mjs';
export { buildInitramfs } from './initramfs.mjs';
export { cacheDirectory, debianPieces, fetchDebianPieces } from './pieces.mjs';
