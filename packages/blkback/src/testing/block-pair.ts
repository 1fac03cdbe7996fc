import type { Guest } from '@xenolith/guest-api';
import { serveBackends, serveFrontends } from '@xenolith/xenbus';
import type { DriverPair } from '@xenolith/xenbus/testing';
import { type BlockBackendOptions, blockBackend } from '../backend/block-backend.js';
import type { BlockDevice } from '../devices/block-device.js';
import { MemoryDevice } from '../devices/memory-device.js';
import { blockFrontend, type FrontDisk } from '../frontend/block-frontend.js';

const PATTERN = Uint8Array.from({ length: 100 * 512 }, (_, i) => (i * 7) & 0xff);

/** Backend and frontend of this package as the compliance suite takes them. */
export function blockPair(
  options: Partial<BlockBackendOptions> = {},
  makeDevice: () => BlockDevice = () => new MemoryDevice(1 << 20),
): DriverPair {
  return {
    type: 'vbd',
    backendNodes: { params: 'disk', mode: 'w' },
    frontendNodes: { 'virtual-device': 51712, 'device-type': 'disk' },
    backend: (guest: Guest) =>
      serveBackends(guest, blockBackend(guest, { open: async () => makeDevice(), ...options })),
    frontend(guest: Guest) {
      const disks = new Map<string, FrontDisk>();
      const served = serveFrontends(
        guest,
        blockFrontend(guest, (id, disk) => (disk ? disks.set(id, disk) : disks.delete(id))),
      );
      return {
        stop: () => served.stop(),
        async exercise(id) {
          const disk = disks.get(id);
          if (!disk) throw new Error(`disk ${id} is not there`);
          await disk.write(4096, PATTERN);
          await disk.flush();
          const back = await disk.read(4096, PATTERN.length);
          if (!back.every((byte, i) => byte === PATTERN[i]))
            throw new Error(`disk ${id} has lost what was written`);
        },
      };
    },
  };
}
