import type { Guest } from '@xenolith/guest-api';
import { describe, expect, it } from 'vitest';
import type { BackendDriver, DeviceEnd, FrontendDriver } from './index.js';
import { addDevice, GrantedPages, serveBackends, XenbusState } from './index.js';
import { backendCompliance, type DriverPair, Fabric, frontendCompliance, settle } from './testing/index.js';

/** The smallest split device: the backend adds one to a number in a shared page when it is told to. */
const adderBackend = (guest: Guest): BackendDriver => ({
  type: 'adder',
  async probe(end) {
    let page: GrantedPages | undefined;
    let port = -1;
    await end.own.write({ 'feature-add': 1 });
    return {
      async connect() {
        const ref = await end.other.number('ring-ref');
        const remote = await end.other.number('event-channel');
        page = GrantedPages.map(guest.grants, end.otherId, [ref]);
        port = guest.eventChannels.bindInterdomain(end.otherId, remote);
        if (port < 0) throw new Error(`event channel ${remote} cannot be bound: ${port}`);
        guest.eventChannels.onEvent(port, () => {
          if (!page?.live || page.readU8(4) === 0) return;
          page.writeU8(4, 0);
          page.writeU32(0, page.readU32(0) + 1);
          guest.eventChannels.send(port);
        });
      },
      async disconnect() {
        page?.unmap();
        page = undefined;
        if (port >= 0) guest.eventChannels.close(port);
        port = -1;
      },
    };
  },
});

function adderFrontend(guest: Guest): { driver: FrontendDriver; exercise(id: string): Promise<void> } {
  const devices = new Map<string, { add(value: number): Promise<number> }>();
  const driver: FrontendDriver = {
    type: 'adder',
    async probe(end: DeviceEnd) {
      let release = () => {};
      return {
        async setUp() {
          if (!(await end.other.flag('feature-add'))) throw new Error('the backend cannot add');
          const page = guest.memory.allocate()!;
          const ref = guest.grants.grantAccess(end.otherId, page);
          const port = guest.eventChannels.allocUnbound(end.otherId);
          release = () => {
            devices.delete(end.identity.id);
            guest.eventChannels.close(port);
            guest.grants.endAccess(ref);
            guest.memory.free(page);
          };
          await end.own.write({ 'ring-ref': ref, 'event-channel': port });
          devices.set(end.identity.id, {
            add: (value) =>
              new Promise((resolve) => {
                guest.eventChannels.onEvent(port, () => page.readU8(4) === 0 && resolve(page.readU32(0)));
                page.writeU32(0, value);
                page.writeU8(4, 1);
                guest.eventChannels.send(port);
              }),
          });
          return XenbusState.initialised;
        },
        async connected() {},
        async disconnect() {
          release();
        },
      };
    },
  };
  return {
    driver,
    async exercise(id) {
      const sum = await devices.get(id)?.add(41);
      if (sum !== 42) throw new Error(`41 + 1 = ${sum}`);
    },
  };
}

const pair: DriverPair = { type: 'adder', backend: adderBackend, frontend: adderFrontend };

describe('a backend', () => {
  for (const { name, run } of backendCompliance) it(name, () => run(pair));
});

describe('a frontend', () => {
  for (const { name, run } of frontendCompliance) it(name, () => run(pair));
});

describe('the compliance suite', () => {
  const failing = async (broken: Partial<DriverPair>, cases = backendCompliance): Promise<string[]> => {
    const failed: string[] = [];
    for (const { name, run } of cases) await run({ ...pair, ...broken }).catch(() => failed.push(name));
    return failed;
  };

  it('finds a backend that does not let go', async () => {
    const leaky = (guest: Guest): BackendDriver => ({
      type: 'adder',
      async probe(end) {
        const device = await adderBackend(guest).probe(end);
        return { ...device, async disconnect() {} };
      },
    });
    expect(await failing({ backend: leaky })).toContain(
      'lets go when the frontend closes, and connects again',
    );
  });

  it('finds a frontend that keeps its pages', async () => {
    const keeping = (guest: Guest) => {
      const { driver, exercise } = adderFrontend(guest);
      const probe: FrontendDriver['probe'] = async (end) => ({
        ...(await driver.probe(end)),
        async disconnect() {},
      });
      return { driver: { ...driver, probe }, exercise };
    };
    expect(await failing({ frontend: keeping }, frontendCompliance)).toContain(
      'closes with the backend, and takes back what it gave',
    );
  });
});

describe('what the toolstack writes', () => {
  it('is what libxl writes, with the owners that it sets', async () => {
    const fabric = new Fabric();
    fabric.addGuest(3);
    await addDevice(fabric.toolstack, {
      type: 'vbd',
      id: 51712,
      frontendId: 3,
      backend: { params: 'disk.img' },
      frontend: { 'virtual-device': 51712 },
    });
    const { store } = fabric;
    expect(store.read('/local/domain/3/device/vbd/51712/backend')).toBe(
      '/local/domain/0/backend/vbd/3/51712',
    );
    expect(store.read('/local/domain/3/device/vbd/51712/virtual-device')).toBe('51712');
    expect(store.read('/local/domain/0/backend/vbd/3/51712/params')).toBe('disk.img');
    expect(store.read('/libxl/3/device/vbd/51712/frontend')).toBe('/local/domain/3/device/vbd/51712');
    expect(store.getPermissions('/local/domain/3/device/vbd/51712/state')).toEqual([
      { domid: 3, access: 'n' },
      { domid: 0, access: 'r' },
    ]);
    expect(store.getPermissions('/local/domain/0/backend/vbd/3/51712/state')).toEqual([
      { domid: 0, access: 'n' },
      { domid: 3, access: 'r' },
    ]);
  });
});

describe('changes of the backend’s nodes', () => {
  it('are told to the device, by name', async () => {
    const fabric = new Fabric();
    const changes: string[] = [];
    fabric.addGuest(1);
    const guest = fabric.addGuest(2);
    const spec = { type: 'adder', id: 1, frontendId: 1, backendId: 2 };
    serveBackends(guest, {
      type: 'adder',
      probe: async () => ({
        async connect() {},
        async disconnect() {},
        async changed(name) {
          changes.push(name);
        },
      }),
    });
    await addDevice(fabric.toolstack, spec);
    await settle();
    changes.length = 0;
    fabric.store.write('/local/domain/2/backend/adder/1/1/params', 'other.iso');
    await settle();
    expect(changes).toEqual(['params']);
  });
});
