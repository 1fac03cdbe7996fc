import {
  type BlockDevice,
  blockBackend,
  blockFrontend,
  type FrontDisk,
  MemoryDevice,
} from '@xenolith/blkback';
import { type ServedDevices, serveBackends, serveFrontends } from '@xenolith/xenbus';
import { connectInMemory, XenstoreClient } from '@xenolith/xenstore';
import { describe, expect, it } from 'vitest';
import { createHost } from '../host.js';
import { createNativeGuest } from '../native-guest.js';
import { parseDiskSpec, parseVifSpec } from '../xl-config/index.js';
import { GuestDisks } from './guest-disks.js';
import { GuestVifs } from './guest-vifs.js';
import type { VifConfig } from './vif.js';

const FRONT = 2;
const XVDB = 51728;
const turn = () => new Promise((resolve) => setImmediate(resolve));

/**
 * `xenstore-ls -fp /` under real Xen 4.17, after `xl create -p` of a guest with these devices of a driver domain, whose
 * number is 1: disk = ["backend=driver,vdev=xvdb,access=rw,target=/dev/xvdc"],
 * vif = ["backend=driver,mac=00:16:3e:00:00:02,rate=1MB/s"].
 */
const REAL = `
/local/domain/1/backend = ""   (n0,r1)
/local/domain/1/backend/vbd = ""   (n0,r1)
/local/domain/1/backend/vbd/2 = ""   (n0,r1)
/local/domain/1/backend/vbd/2/51728 = ""   (n1,r2)
/local/domain/1/backend/vbd/2/51728/frontend = "/local/domain/2/device/vbd/51728"   (n1,r2)
/local/domain/1/backend/vbd/2/51728/params = "/dev/xvdc"   (n1,r2)
/local/domain/1/backend/vbd/2/51728/script = "/etc/xen/scripts/block"   (n1,r2)
/local/domain/1/backend/vbd/2/51728/frontend-id = "2"   (n1,r2)
/local/domain/1/backend/vbd/2/51728/online = "1"   (n1,r2)
/local/domain/1/backend/vbd/2/51728/removable = "0"   (n1,r2)
/local/domain/1/backend/vbd/2/51728/bootable = "1"   (n1,r2)
/local/domain/1/backend/vbd/2/51728/state = "1"   (n1,r2)
/local/domain/1/backend/vbd/2/51728/dev = "xvdb"   (n1,r2)
/local/domain/1/backend/vbd/2/51728/type = "phy"   (n1,r2)
/local/domain/1/backend/vbd/2/51728/mode = "w"   (n1,r2)
/local/domain/1/backend/vbd/2/51728/device-type = "disk"   (n1,r2)
/local/domain/1/backend/vbd/2/51728/discard-enable = "1"   (n1,r2)
/local/domain/1/backend/vbd/2/51728/specification = "xen"   (n1,r2)
/local/domain/1/backend/vif = ""   (n0,r1)
/local/domain/1/backend/vif/2 = ""   (n0,r1)
/local/domain/1/backend/vif/2/0 = ""   (n1,r2)
/local/domain/1/backend/vif/2/0/frontend = "/local/domain/2/device/vif/0"   (n1,r2)
/local/domain/1/backend/vif/2/0/frontend-id = "2"   (n1,r2)
/local/domain/1/backend/vif/2/0/online = "1"   (n1,r2)
/local/domain/1/backend/vif/2/0/state = "1"   (n1,r2)
/local/domain/1/backend/vif/2/0/script = "/etc/xen/scripts/vif-bridge"   (n1,r2)
/local/domain/1/backend/vif/2/0/mac = "00:16:3e:00:00:02"   (n1,r2)
/local/domain/1/backend/vif/2/0/rate = "50000,50000"   (n1,r2)
/local/domain/1/backend/vif/2/0/bridge = "xenbr0"   (n1,r2)
/local/domain/1/backend/vif/2/0/handle = "0"   (n1,r2)
/local/domain/1/backend/vif/2/0/type = "vif"   (n1,r2)
/local/domain/1/backend/vif/2/0/hotplug-status = ""   (n1,r2)
/local/domain/2/device = ""   (n0,r2)
/local/domain/2/device/vbd = ""   (n0,r2)
/local/domain/2/device/vbd/51728 = ""   (n2,r1)
/local/domain/2/device/vbd/51728/backend = "/local/domain/1/backend/vbd/2/51728"   (n2,r1)
/local/domain/2/device/vbd/51728/backend-id = "1"   (n2,r1)
/local/domain/2/device/vbd/51728/state = "1"   (n2,r1)
/local/domain/2/device/vbd/51728/virtual-device = "51728"   (n2,r1)
/local/domain/2/device/vbd/51728/device-type = "disk"   (n2,r1)
/local/domain/2/device/vbd/51728/trusted = "1"   (n2,r1)
/local/domain/2/device/vbd/51728/protocol = "x86_64-abi"   (n2,r1)
/local/domain/2/device/vif = ""   (n0,r2)
/local/domain/2/device/vif/0 = ""   (n2,r1)
/local/domain/2/device/vif/0/backend = "/local/domain/1/backend/vif/2/0"   (n2,r1)
/local/domain/2/device/vif/0/backend-id = "1"   (n2,r1)
/local/domain/2/device/vif/0/state = "1"   (n2,r1)
/local/domain/2/device/vif/0/handle = "0"   (n2,r1)
/local/domain/2/device/vif/0/mac = "00:16:3e:00:00:02"   (n2,r1)
/local/domain/2/device/vif/0/trusted = "1"   (n2,r1)
/local/domain/2/device/vif/0/mtu = "1500"   (n1,r2)
/libxl/2 = ""   (n0)
/libxl/2/device = ""   (n0)
/libxl/2/device/vbd = ""   (n0)
/libxl/2/device/vbd/51728 = ""   (n0)
/libxl/2/device/vbd/51728/frontend = "/local/domain/2/device/vbd/51728"   (n0)
/libxl/2/device/vbd/51728/backend = "/local/domain/1/backend/vbd/2/51728"   (n0)
/libxl/2/device/vbd/51728/params = "/dev/xvdc"   (n0)
/libxl/2/device/vbd/51728/script = "/etc/xen/scripts/block"   (n0)
/libxl/2/device/vbd/51728/frontend-id = "2"   (n0)
/libxl/2/device/vbd/51728/online = "1"   (n0)
/libxl/2/device/vbd/51728/removable = "0"   (n0)
/libxl/2/device/vbd/51728/bootable = "1"   (n0)
/libxl/2/device/vbd/51728/state = "1"   (n0)
/libxl/2/device/vbd/51728/dev = "xvdb"   (n0)
/libxl/2/device/vbd/51728/type = "phy"   (n0)
/libxl/2/device/vbd/51728/mode = "w"   (n0)
/libxl/2/device/vbd/51728/device-type = "disk"   (n0)
/libxl/2/device/vbd/51728/discard-enable = "1"   (n0)
/libxl/2/device/vbd/51728/specification = "xen"   (n0)
/libxl/2/device/vif = ""   (n0)
/libxl/2/device/vif/0 = ""   (n0)
/libxl/2/device/vif/0/frontend = "/local/domain/2/device/vif/0"   (n0)
/libxl/2/device/vif/0/backend = "/local/domain/1/backend/vif/2/0"   (n0)
/libxl/2/device/vif/0/frontend-id = "2"   (n0)
/libxl/2/device/vif/0/online = "1"   (n0)
/libxl/2/device/vif/0/state = "1"   (n0)
/libxl/2/device/vif/0/script = "/etc/xen/scripts/vif-bridge"   (n0)
/libxl/2/device/vif/0/mac = "00:16:3e:00:00:02"   (n0)
/libxl/2/device/vif/0/rate = "50000,50000"   (n0)
/libxl/2/device/vif/0/bridge = "xenbr0"   (n0)
/libxl/2/device/vif/0/handle = "0"   (n0)
/libxl/2/device/vif/0/type = "vif"   (n0)
/libxl/2/device/vif/0/hotplug-status = ""   (n0)`;

interface Driver {
  readonly domid: number;
  served: ServedDevices;
}

/** A host with a guest in TypeScript, and driver domains that come and go; toolstack timers go by host time. */
async function setUp() {
  const host = await createHost({ memoryMiB: 8, clock: 'virtual', strict: true });
  const { hypervisor, xenstore } = host;
  const { local, server } = xenstore;
  const drivers = new Map<string, Driver>();
  let timers: (() => void)[] = [];
  const guest = (domid: number) => {
    const native = createNativeGuest(hypervisor, { domid });
    local.write(`/local/domain/${domid}`, '');
    local.setPermissions(`/local/domain/${domid}`, [
      { domid: 0, access: 'n' },
      { domid, access: 'r' },
    ]);
    for (const name of ['error', 'data']) {
      local.write(`/local/domain/${domid}/${name}`, '');
      local.setPermissions(`/local/domain/${domid}/${name}`, [{ domid, access: 'n' }]);
    }
    return { ...native, xenstore: new XenstoreClient(connectInMemory(server, domid)) };
  };

  /** A domain that serves disks, all of them this one. `clears`: it runs something like `xl devd`. */
  const startDriver = (domid: number, disk: BlockDevice, { clears = true } = {}) => {
    const self = guest(domid);
    const backend = blockBackend(self, { open: async () => disk, release: async () => {} });
    drivers.set('driver', { domid, served: serveBackends(self, backend) });
    if (!clears) return;
    void (async () => {
      for await (const path of self.xenstore.watch(`/local/domain/${domid}/backend`)) {
        const back = path.replace(/\/(state|online)$/, '');
        if (back === path || local.readIfExists(`${back}/state`) !== '6') continue;
        if (local.readIfExists(`${back}/online`) === '0') await self.xenstore.rm(back);
      }
    })();
  };
  const killDriver = async () => {
    const { domid, served } = drivers.get('driver')!;
    drivers.delete('driver');
    local.rm(`/local/domain/${domid}`);
    await served.stop();
  };

  const deviceHost = {
    ...{ xenstore, hypervisor, blocks: host.blocks, networks: host.networks },
    eventLoop: {
      turn: async () => {},
      after: (_ms: number, run: () => void) => {
        timers.push(run);
        return () => {
          timers = timers.filter((timer) => timer !== run);
        };
      },
    },
    domidOf: (which: string | number) => (which === 0 ? 0 : drivers.get(String(which))?.domid),
    wake() {},
  };
  const pass = async (turns = 40) => {
    for (let i = 0; i < turns; i++) {
      hypervisor.clock.advance(100_000);
      hypervisor.run(1);
      await turn();
    }
  };
  const during = async <T>(work: Promise<T>): Promise<T> => {
    let done = false;
    const settled = work.finally(() => {
      done = true;
    });
    settled.catch(() => {});
    for (let i = 0; i < 1000 && !done; i++) await pass(1);
    return settled;
  };
  /** The toolstack has waited long enough. */
  const timeOut = async () => {
    await pass();
    for (const run of timers.splice(0)) run();
    await pass();
  };
  const dump = (path: string): string[] =>
    local.list(path || '/').flatMap((name) => {
      const child = `${path === '/' ? '' : path}/${name}`;
      const permissions = local.getPermissions(child).map(({ access, domid }) => `${access}${domid}`);
      return [`${child} = "${local.read(child)}"   (${permissions.join()})`, ...dump(child)];
    });
  const node = (path: string) => local.readIfExists(path);
  return { deviceHost, guest, startDriver, killDriver, pass, during, timeOut, dump, node, host };
}

/** With a front guest that uses every disk, and one disk of the driver domain. */
async function setUpDisk(options: { clears?: boolean } = {}) {
  const made = await setUp();
  const disk = new MemoryDevice(1 << 16);
  const seen = new Map<string, FrontDisk | undefined>();
  made.startDriver(1, disk, options);
  const guest = made.guest(FRONT);
  serveFrontends(
    guest,
    blockFrontend(guest, (id, found) => seen.set(id, found)),
  );
  const disks = new GuestDisks(made.deviceHost, [{ vdev: 'xvdb', backend: 'driver', params: '/dev/xvdc' }]);
  disks.start(FRONT);
  await made.pass();
  const now = () => seen.get(String(XVDB));
  return { ...made, disk, disks, now };
}

const vif = (text: string): VifConfig => {
  const { port: _port, capture: _capture, ...config } = parseVifSpec(text);
  return config;
};

const back = (domid: number) => `/local/domain/${domid}/backend/vbd/${FRONT}/${XVDB}`;
const front = `/local/domain/${FRONT}/device/vbd/${XVDB}`;
const libxl = `/libxl/${FRONT}/device/vbd/${XVDB}`;

describe('devices of a driver domain', () => {
  it('are written as xl writes them, values and permissions', async () => {
    const { deviceHost, guest, startDriver, dump } = await setUp();
    startDriver(1, new MemoryDevice(512));
    guest(FRONT);
    const {
      target,
      format: _,
      ...disk
    } = parseDiskSpec('backend=driver,vdev=xvdb,access=rw,target=/dev/xvdc');
    new GuestDisks(deviceHost, [{ ...disk, params: target }]).start(FRONT);
    new GuestVifs(deviceHost, [vif('backend=driver,mac=00:16:3e:00:00:02,rate=1MB/s')]).start(FRONT);
    const written = [...dump('/local/domain/1'), ...dump('/local/domain/2'), ...dump('/libxl')];
    const isOther = /^\/local\/domain\/\d\/(error|data)|^\/libxl = /;
    expect(written.filter((line) => !isOther.test(line)).sort()).toEqual(REAL.trim().split('\n').sort());
  });

  it('name scripts of that domain where they are given', async () => {
    const { deviceHost, guest, startDriver, node } = await setUp();
    startDriver(1, new MemoryDevice(512));
    guest(FRONT);
    const disk = parseDiskSpec('backend=driver,vdev=xvdb,script=block-iscsi,target=iqn=x');
    new GuestDisks(deviceHost, [disk]).start(FRONT);
    new GuestVifs(deviceHost, [vif('backend=driver,script=/opt/vif')]).start(FRONT);
    expect(node(`${back(1)}/script`)).toBe('/etc/xen/scripts/block-iscsi');
    expect(node(`/local/domain/1/backend/vif/${FRONT}/0/script`)).toBe('/opt/vif');
  });

  it('are served by it, and unplugged when it has cleared its end away', async () => {
    const { disk, disks, now, during, pass, node, host } = await setUpDisk();
    await during(now()!.write(512, new Uint8Array(512).fill(7)));
    expect((await disk.read(512, 512))[0]).toBe(7);
    await expect(disks.resized('xvdb')).rejects.toThrow('Domain 1 serves xvdb');
    expect(() => disks.changeMedium('xvdb', undefined)).toThrow('Domain 1 serves xvdb');
    await during(disks.detach('xvdb'));
    await pass();
    expect([now(), node(back(1)), node(front), node(libxl)]).toEqual(Array(4).fill(undefined));
    // Nothing empty is left behind.
    expect([node('/local/domain/1/backend'), node(`/local/domain/${FRONT}/device`)]).toEqual([
      undefined,
      undefined,
    ]);
    host.hypervisor.checks?.everything();
  });

  it('stay when it does not clear its end away, unless by force', async () => {
    const { disks, during, timeOut, node } = await setUpDisk({ clears: false });
    const asked = disks.detach('xvdb');
    asked.catch(() => {});
    await timeOut();
    await expect(asked).rejects.toThrow('Domain 1 does not clear away its end of the disk xvdb');
    expect([node(`${back(1)}/state`), node(`${front}/state`)]).toEqual(['6', '6']);
    const forced = disks.detach('xvdb', { force: true });
    await timeOut();
    await during(forced);
    expect([node(back(1)), node(front), node(libxl)]).toEqual(Array(3).fill(undefined));
  });

  it('are let go of by it when the guest dies', async () => {
    const { disks, pass, node } = await setUpDisk();
    disks.stop(FRONT);
    expect([node(`${back(1)}/online`), node(`${back(1)}/state`), node(front)]).toEqual(['0', '5', undefined]);
    await pass();
    expect([node('/local/domain/1/backend'), node(libxl)]).toEqual([undefined, undefined]);
  });

  it('are gone for the guest when it dies; they are plugged in anew after its restart', async () => {
    const { disk, disks, now, killDriver, startDriver, pass, during, node } = await setUpDisk();
    await during(now()!.write(0, new Uint8Array(512).fill(9)));
    await during(killDriver());
    await pass();
    expect([now(), node(`${front}/state`)]).toEqual([undefined, '4']);
    // Without a backend there is nobody to wait for.
    await during(disks.detach('xvdb'));
    expect(() => disks.attach({ vdev: 'xvdb', backend: 'driver' })).toThrow(
      'The disk xvdb cannot be had: there is no domain "driver" to serve it.',
    );
    startDriver(3, disk);
    disks.attach({ vdev: 'xvdb', backend: 'driver', params: '/dev/xvdc' });
    await pass();
    expect(node(`${front}/backend`)).toBe(back(3));
    expect((await during(now()!.read(0, 512)))[0]).toBe(9);
  });

  it('come from the new one when the guest starts again', async () => {
    const { disk, disks, killDriver, startDriver, pass, during, node } = await setUpDisk();
    await during(killDriver());
    disks.stop(FRONT);
    expect(() => disks.resolve()).toThrow('there is no domain "driver"');
    startDriver(3, disk);
    disks.resolve();
    disks.start(FRONT);
    await pass();
    expect(node(`${back(3)}/state`)).toBe('4');
  });
});
