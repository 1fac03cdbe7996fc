import { readFileSync } from 'node:fs';
import { blockFrontend, type FrontDisk, MemoryDevice } from '@xenolith/blkback';
import { createHost, type GuestDomain, type KernelGuest, loadKernel } from '@xenolith/host';
import { type FrontInterface, netFrontend, Station } from '@xenolith/netback';
import { serveFrontends } from '@xenolith/xenbus';
import { describe, expect, it } from 'vitest';
import { pieces, reason } from './debian-machine.js';

const MIB = 1 << 20;
const THIRD = '10.0.0.99';

/** The devices of a guest in TypeScript, as they come and go. */
class Devices {
  disk: FrontDisk | undefined;
  network: FrontInterface | undefined;

  constructor(private readonly guest: KernelGuest) {
    serveFrontends(
      guest,
      blockFrontend(guest, (_, disk) => {
        this.disk = disk;
      }),
    );
    serveFrontends(
      guest,
      netFrontend(guest, (_, network) => {
        this.network = network;
      }),
    );
  }

  /** Both are there, or neither is. */
  async until(present: boolean): Promise<void> {
    while ((this.disk !== undefined) !== present || (this.network !== undefined) !== present)
      await new Promise<void>((done) => this.guest.clock.after(1e6, done));
  }

  station(): Station {
    const port = this.network!;
    return new Station({ clock: this.guest.clock, mac: port.mac, address: '10.0.0.2', port });
  }
}

const pattern = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 9) + seed) & 0xff);

/** Pings until there is an answer: a bridge takes a moment to see that a port has a carrier. */
async function answered(station: Station, address: string): Promise<void> {
  for (let tries = 0; tries < 50; tries++) if (await station.ping(address, { timeoutNs: 2e8 })) return;
  throw new Error(`${address} does not answer`);
}

describe.skipIf(pieces === undefined)(`Debian's backends (${reason ?? 'found'})`, () => {
  it('serve our frontends a disk and a network that leads further; so they do when they have died and come back', async () => {
    const host = await createHost({ memoryMiB: 600, clock: 'virtual' });
    const store = new MemoryDevice(4 * MIB);
    const port = host.networks.bridge('outer').addPort();
    new Station({ clock: host.dom0.clock, mac: '00:16:3e:00:00:99', address: THIRD, port });
    const kernel = loadKernel(readFileSync(pieces!.vmlinuz));
    const ramdisk = readFileSync(pieces!.driverInitrd);
    let said = '';
    /** Makes the driver domain. @returns it, when it serves */
    const startDriver = async (): Promise<GuestDomain> => {
      said = '';
      const driver = host.createDomain({
        ...{ name: 'driver', kernel, ramdisk, memoryMiB: 256, driverDomain: true },
        cmdline: 'console=hvc0 quiet address=10.0.0.1/24',
        disks: [{ vdev: 'xvda', device: store }],
        vifs: [{ bridge: 'outer', trusted: false }],
        onConsole: (bytes) => {
          said += new TextDecoder('latin1').decode(bytes);
        },
      });
      driver.unpause();
      while (!said.includes('This is a driver domain'))
        await new Promise((resolve) => setTimeout(resolve, 10));
      return driver;
    };

    let driver: GuestDomain | undefined;
    const plan = async (): Promise<void> => {
      driver = await startDriver();
      const disk = { vdev: 'xvda', backend: 'driver', params: '/dev/xvda' };
      const vif = { backend: 'driver', mac: '00:16:3e:00:00:02' };
      const front = host.createNativeDomain({
        name: 'front',
        disks: [disk],
        vifs: [vif],
        kernel: async (guest) => {
          const devices = new Devices(guest);
          await devices.until(true);
          const used = devices.disk!;
          expect([used.size, used.readonly]).toEqual([4 * MIB, false]);
          // As many requests as the ring has slots, and more.
          const large = pattern(2 * MIB, 1);
          await used.write(MIB / 2, large);
          await used.write(512, pattern(512, 2));
          await used.flush();
          expect(await store.read(MIB / 2, large.length)).toEqual(large);
          expect(await used.read(MIB / 2, large.length)).toEqual(large);
          expect(await used.read(512, 512)).toEqual(pattern(512, 2));
          await expect(used.read(4 * MIB, 512)).rejects.toThrow('status -1');

          const station = devices.station();
          await answered(station, '10.0.0.1');
          await answered(station, THIRD);
          const times = [];
          for (const bytes of [0, 56, 1472]) times.push(await station.ping(THIRD, { bytes }));
          expect(times, 'each of three sizes').toEqual([
            expect.any(Number),
            expect.any(Number),
            expect.any(Number),
          ]);

          // It dies in the middle of writes.
          const lost = Promise.allSettled(
            Array.from({ length: 8 }, (_, i) => used.write((i * MIB) / 4, large.subarray(0, MIB / 4))),
          );
          driver!.destroy();
          await devices.until(false);
          expect((await lost).some(({ status }) => status === 'rejected')).toBe(true);
          expect(await station.ping(THIRD, { timeoutNs: 1e8 })).toBeUndefined();

          driver = await startDriver();
          await Promise.all([front.disks.detach('xvda'), front.vifs.detach(0)]);
          front.disks.attach(disk);
          front.vifs.attach(vif);
          await devices.until(true);
          await devices.disk!.write(0, pattern(MIB, 3));
          await devices.disk!.flush();
          expect(await store.read(0, MIB)).toEqual(pattern(MIB, 3));
          await answered(devices.station(), THIRD);
        },
      });
      expect(await front.ended, said).toEqual({ reason: 'poweroff' });
      // The driver domain has let go of all that was the front's.
      const backend = `/local/domain/${driver.domid}/backend`;
      while (host.hypervisor.exists(front.domid) || host.xenstore.local.readIfExists(backend) !== undefined)
        await new Promise((resolve) => setTimeout(resolve, 10));
    };
    // The host runs as long as there are guests, and the plan begins with one.
    const carriedOut = plan().finally(() => driver?.destroy());
    await Promise.all([carriedOut, host.run()]);
  });
});
