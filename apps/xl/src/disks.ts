import { isAbsolute, join } from 'node:path';
import { type BlockDevice, BlockDeviceError } from '@xenolith/blkback';
import { type DiskConfig, type DiskSpec, parseDiskSpec } from '@xenolith/host';
import { BadInputError } from '@xenolith/host-interface';
import { isAddress, isBaseOnly, openImage } from './images.js';

/** Opens what is behind a disk, unless another domain does. @param directory where relative paths begin @throws BadInputError */
export async function openDisk(spec: DiskSpec, directory: string): Promise<DiskConfig> {
  const { target, format: _, ...others } = spec;
  const config: DiskConfig = { ...others, params: target };
  if (target === '' || spec.backend !== undefined) return config;
  return { ...config, device: await openTarget(spec, directory) };
}

/** A medium for a drive. @throws BadInputError */
export const openMedium = (target: string, vdev: string, directory: string): Promise<BlockDevice> =>
  openTarget({ ...parseDiskSpec(`vdev=${vdev},cdrom,target=${target}`) }, directory);

async function openTarget(spec: DiskSpec, directory: string): Promise<BlockDevice> {
  const { target, format, readonly, vdev } = spec;
  if (format !== 'raw' && format !== 'qcow2') {
    throw new BadInputError(
      `The disk ${vdev} cannot be had: images of the format ${format} cannot be read, only raw and qcow2. ` +
        '`qemu-img convert -O qcow2` makes one of it.',
    );
  }
  const place = isAddress(target) || isAbsolute(target) ? target : join(directory, target);
  try {
    return await openImage(place, format, readonly);
  } catch (error) {
    if (!(error instanceof BlockDeviceError || error instanceof TypeError)) throw error;
    throw new BadInputError(`The disk ${vdev} cannot be had: ${error.message}.`);
  }
}

/** What a person should know about what becomes of a disk's contents. */
export function diskWarnings(spec: DiskSpec): string[] {
  const { vdev, target, format, readonly, backend } = spec;
  const isSafe = format === 'raw' && !isBaseOnly(target, format);
  if (readonly || isSafe || backend !== undefined) return [];
  return [
    `${vdev}: nothing is written to ${target}; what the guest writes is gone when it ends (a raw image keeps it).`,
  ];
}

/** For disks that no guest has got. */
export async function closeDisks(disks: readonly DiskConfig[]): Promise<void> {
  for (const { device } of disks) await device?.close?.();
}
