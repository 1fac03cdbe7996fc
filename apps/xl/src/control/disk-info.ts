import type { GuestDomain, Host } from '@xenolith/host';
import { parseState, stateName } from '@xenolith/xenbus';

/** What `xenolith block-list` shows of a disk. */
export interface DiskInfo {
  vdev: string;
  /** Number of the device (xen-vbd-interface(7)). */
  id: number;
  /** The domain that serves it. */
  backendId: number;
  /** Bytes; none: nothing is in the drive, or another domain serves it. */
  size?: number;
  readonly: boolean;
  target: string;
  /** The guest's end: `connected` when it uses the disk. */
  state: string;
}

export function diskInfos({ disks, domid }: GuestDomain, { xenstore }: Host): DiskInfo[] {
  return [...disks].map(({ vdev, id, backendId, device, params, config }) => {
    const state = xenstore.local.readIfExists(`/local/domain/${domid}/device/vbd/${id}/state`);
    return {
      ...{ vdev, id, backendId, target: params, state: stateName(parseState(state)) },
      readonly: config.readonly ?? device?.readonly ?? false,
      ...(device && { size: device.size }),
    };
  });
}
