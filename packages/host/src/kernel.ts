import { type PvKernel, parsePvKernel, type UnpackOptions, unpackKernel } from '@xenolith/domain-builder';

/**
 * Makes a kernel file ready for domains: unpacks it and reads its notes for Xen. One kernel serves any number of domains.
 * @throws BadInputError, NotImplementedError
 */
export function loadKernel(file: Uint8Array, options: UnpackOptions = {}): PvKernel {
  return parsePvKernel(unpackKernel(file, options).image);
}
