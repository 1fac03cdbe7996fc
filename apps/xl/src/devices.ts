import type { DiskConfig, DiskSpec, Host, VifConfig, VifSpec } from '@xenolith/host';
import { closeDisks, openDisk } from './disks.js';
import { closeVifs, openVif } from './vifs.js';

/** The devices of a guest, as its configuration describes them. */
export interface DeviceSpecs {
  readonly disks: readonly DiskSpec[];
  readonly vifs: readonly VifSpec[];
  /** Where relative paths in them begin. */
  readonly directory: string;
}

/** The same, ready to be plugged in. */
export interface Devices {
  readonly disks: readonly DiskConfig[];
  readonly vifs: readonly VifConfig[];
}

/** Opens what is behind all of a guest's devices, or nothing. @throws BadInputError */
export async function openDevices(specs: DeviceSpecs, host: Host): Promise<Devices> {
  const disks: DiskConfig[] = [];
  const vifs: VifConfig[] = [];
  try {
    for (const spec of specs.disks) disks.push(await openDisk(spec, specs.directory));
    for (const spec of specs.vifs) vifs.push(await openVif(spec, host, specs.directory));
  } catch (error) {
    await closeDevices({ disks, vifs });
    throw error;
  }
  return { disks, vifs };
}

/** For devices that no guest has got. */
export async function closeDevices({ disks, vifs }: Devices): Promise<void> {
  await closeDisks(disks);
  closeVifs(vifs);
}
