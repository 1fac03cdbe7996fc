import { isAbsolute, join } from 'node:path';
import { type BlockDevice, BlockDeviceError, HttpDevice } from '@xenolith/blkback';
import { FileDevice } from '@xenolith/blkback/node';
import { type DiskConfig, type DiskSpec, type Host, parseDiskSpec } from '@xenolith/host';
import { BadInputError } from '@xenolith/host-interface';

/** Opens what is behind a disk. @param directory where relative paths begin @throws BadInputError */
export async function openDisk(spec: DiskSpec, host: Host, directory: string): Promise<DiskConfig> {
  const { vdev, readonly, cdrom, discard, target } = spec;
  const config: DiskConfig = { vdev, readonly, cdrom, discard, params: target };
  if (spec.backend !== undefined && !['0', 'Domain-0'].includes(spec.backend)) {
    const backend = host.find(spec.backend);
    if (!backend)
      throw new BadInputError(`The disk ${vdev} cannot be had: there is no domain "${spec.backend}".`);
    return { ...config, backendId: backend.domid };
  }
  if (target === '') return config;
  return { ...config, device: await openTarget(spec, directory) };
}

/** A medium for a drive. @throws BadInputError */
export const openMedium = (target: string, vdev: string, directory: string): Promise<BlockDevice> =>
  openTarget({ ...parseDiskSpec(`vdev=${vdev},cdrom,target=${target}`) }, directory);

async function openTarget(spec: DiskSpec, directory: string): Promise<BlockDevice> {
  const { target, format, readonly, vdev } = spec;
  if (format !== 'raw') {
    throw new BadInputError(
      `The disk ${vdev} cannot be had: images of the format ${format} cannot be read yet, only raw ones.`,
    );
  }
  try {
    if (!/^https?:\/\//.test(target)) {
      return await FileDevice.open(isAbsolute(target) ? target : join(directory, target), { readonly });
    }
    if (!readonly) throw new BlockDeviceError(`${target} can only be read: give it the access ro`);
    return await HttpDevice.open(target);
  } catch (error) {
    if (!(error instanceof BlockDeviceError || error instanceof TypeError)) throw error;
    throw new BadInputError(`The disk ${vdev} cannot be had: ${error.message}.`);
  }
}

/** For disks that no guest has got. */
export async function closeDisks(disks: readonly DiskConfig[]): Promise<void> {
  for (const { device } of disks) await device?.close?.();
}
