import { describe, expect, it } from 'vitest';
import { addDevice, type BackendDriver, removeDevice, serveBackends } from './index.js';
import { Fabric, settle } from './testing/index.js';

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

/** A fabric with a toolstack, a guest for the frontend, and a backend there. */
function serving(driver: Partial<BackendDriver> & Pick<BackendDriver, 'probe'>) {
  const fabric = new Fabric();
  fabric.addGuest(1);
  const lines: string[] = [];
  const guest = fabric.addGuest(2);
  serveBackends(
    guest,
    { type: 'adder', ...driver },
    { log: { log: (_level, _part, text) => void lines.push(text) } },
  );
  const spec = (id: number) => ({ type: 'adder', id, frontendId: 1, backendId: 2 });
  const state = (id: number) => fabric.store.readIfExists(`/local/domain/2/backend/adder/1/${id}/state`);
  return { fabric, guest, lines, spec, state, toolstack: fabric.toolstack };
}

describe('a device that goes wrong', () => {
  it('is not probed again before its frontend begins anew', async () => {
    let probes = 0;
    const { fabric, state, toolstack, spec } = serving({
      async probe() {
        probes++;
        throw new Error('there is no such image');
      },
    });
    await addDevice(toolstack, spec(1));
    await settle();
    expect([probes, state(1)]).toEqual([1, '5']);
    for (const frontState of ['5', '6']) {
      fabric.store.write('/local/domain/1/device/adder/1/state', frontState);
      await settle();
    }
    expect([probes, state(1)]).toEqual([1, '6']);
    fabric.store.write('/local/domain/1/device/adder/1/state', '1');
    await settle();
    expect([probes, state(1)]).toEqual([2, '5']);
  });

  it('does not hold up others while it lets go of what it has', async () => {
    const { state, toolstack, spec } = serving({
      probe: async (end) => ({
        async connect() {},
        async disconnect() {},
        remove: () => (end.identity.id === '1' ? new Promise<never>(() => {}) : Promise.resolve()),
      }),
    });
    await addDevice(toolstack, spec(1));
    await settle();
    await removeDevice(toolstack, spec(1));
    await settle();
    for (const id of [1, 2]) await addDevice(toolstack, spec(id));
    await settle();
    // Its successor waits for it.
    expect([state(1), state(2)]).toEqual(['1', '2']);
  });

  it('is followed by another one, once it has let go', async () => {
    let release = () => {};
    const { state, toolstack, spec } = serving({
      probe: async () => ({
        async connect() {},
        async disconnect() {},
        remove: () =>
          new Promise((resolve) => {
            release = resolve;
          }),
      }),
    });
    await addDevice(toolstack, spec(1));
    await settle();
    await removeDevice(toolstack, spec(1));
    await settle();
    await addDevice(toolstack, spec(1));
    await settle();
    expect(state(1)).toBe('1');
    release();
    await settle();
    expect(state(1)).toBe('2');
  });

  it('says so in the log where xenstore does not answer any more', async () => {
    const { guest, lines, toolstack, spec } = serving({
      async probe() {
        guest.xenstore.close();
        throw new Error('there is no such image');
      },
    });
    await addDevice(toolstack, spec(1));
    await settle();
    expect(lines.join('\n')).toMatch(/there is no such image[\s\S]*The connection is closed/);
  });
});
