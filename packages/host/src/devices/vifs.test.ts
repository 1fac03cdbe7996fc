import { Capture, type FrontInterface, isIntact, netFrontend } from '@xenolith/netback';
import { serveFrontends } from '@xenolith/xenbus';
import { connectInMemory, XenstoreClient } from '@xenolith/xenstore';
import { describe, expect, it } from 'vitest';
import { createHost } from '../host.js';
import { createNativeGuest } from '../native-guest.js';
import { GuestVifs } from './guest-vifs.js';
import type { VifConfig } from './vif.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A host with guests in TypeScript that use every interface they are given. */
async function setUp(...guests: VifConfig[][]) {
  const host = await createHost({ memoryMiB: 16, clock: 'virtual', strict: true });
  const { local, server } = host.xenstore;
  const pass = async (turns = 30) => {
    for (let i = 0; i < turns; i++) {
      host.hypervisor.clock.advance(100_000);
      host.hypervisor.run(1);
      await turn();
    }
  };
  const made = guests.map((configs, i) => {
    const domid = 7 + i;
    const native = createNativeGuest(host.hypervisor, { domid });
    local.write(`/local/domain/${domid}`, '');
    local.setPermissions(`/local/domain/${domid}`, [{ domid, access: 'n' }]);
    const guest = { ...native, xenstore: new XenstoreClient(connectInMemory(server, domid)) };
    const seen = new Map<string, FrontInterface | undefined>();
    const got: Uint8Array[] = [];
    serveFrontends(
      guest,
      netFrontend(guest, (id, network) => {
        seen.set(id, network);
        network?.connect(({ data }) => got.push(data));
      }),
    );
    const vifs = new GuestVifs(host, configs);
    return { domid, vifs, seen, got, receivedNow: () => got.splice(0).length };
  });
  const back = (domid: number, id = 0) => `/local/domain/0/backend/vif/${domid}/${id}`;
  const node = (path: string) => local.readIfExists(path);
  return { host, made, pass, node, back };
}

const toAll = (from: number, length = 60) => {
  const data = new Uint8Array(length).fill(0xff, 0, 6);
  data.set([0, 0x16, 0x3e, 0, 0, from], 6);
  return { data };
};

describe('network interfaces of guests', () => {
  it('of the same name of a switch reach each other, others do not', async () => {
    const { made, pass } = await setUp([{}], [{}], [{ bridge: 'other' }]);
    for (const { vifs, domid } of made) vifs.start(domid);
    await pass();
    expect(made[0]!.seen.get('0')!.send(toAll(1, 9000))).toBe(true);
    await pass();
    expect(made.map(({ receivedNow }) => receivedNow())).toEqual([0, 1, 0]);
  });

  it('that are isolated reach others, and not each other', async () => {
    const { made, pass } = await setUp([{ isolated: true }], [{ isolated: true }], [{}]);
    for (const { vifs, domid } of made) vifs.start(domid);
    await pass();
    made[0]!.seen.get('0')!.send(toAll(1));
    await pass();
    expect(made.map(({ receivedNow }) => receivedNow())).toEqual([0, 0, 1]);
  });

  it('are written as libxl writes them, with a random address of Xen’s', async () => {
    const { made, pass, node, back, host } = await setUp([
      { rate: { bytes: 1000, intervalUs: 50_000 }, ip: '10.0.0.1', mtu: 9000 },
      { mac: '2:0:0:0:0:A', trusted: false },
    ]);
    made[0]!.vifs.start(7);
    await pass();
    const [first, second] = [...made[0]!.vifs];
    expect(first!.mac).toMatch(/^00:16:3e:[0-7][0-9a-f](:[0-9a-f]{2}){2}$/);
    expect(second!.mac).toBe('02:00:00:00:00:0a');
    const values = (path: string, ...names: string[]) => names.map((name) => node(`${path}/${name}`));
    expect(values(back(7), 'mac', 'bridge', 'handle', 'type', 'rate', 'ip', 'mtu', 'state')).toEqual([
      first!.mac,
      'xenbr0',
      '0',
      'vif',
      '1000,50000',
      '10.0.0.1',
      '9000',
      '4',
    ]);
    expect(values('/local/domain/7/device/vif/1', 'mac', 'handle', 'mtu', 'trusted')).toEqual([
      second!.mac,
      '1',
      '1500',
      '0',
    ]);
    host.hypervisor.checks?.everything();
  });

  it('come and go while a guest runs, and over a restart', async () => {
    const { made, pass, node, back, host } = await setUp([{}], []);
    const [first, second] = made;
    for (const { vifs, domid } of made) vifs.start(domid);
    const vif = second!.vifs.attach({ mac: '00:16:3e:00:00:02' });
    await pass();
    first!.seen.get('0')!.send(toAll(1));
    await pass();
    expect([second!.receivedNow(), host.networks.bridge('xenbr0').size]).toEqual([1, 2]);
    const gone = second!.vifs.detach('00:16:3E:00:00:02');
    await pass();
    await gone;
    await pass();
    expect([second!.seen.get('0'), node(back(8)), host.networks.bridge('xenbr0').size]).toEqual([
      undefined,
      undefined,
      1,
    ]);
    expect(() => second!.vifs.get(vif.id)).toThrow('has no network interface 0');
    first!.vifs.stop(7);
    await pass();
    expect(node(back(7))).toBeUndefined();
    first!.vifs.start(7);
    await pass();
    expect(first!.seen.get('0')?.mac).toBe([...first!.vifs][0]!.mac);
    host.hypervisor.checks?.everything();
  });

  it('may have a port of their own, which is closed with the guest', async () => {
    const sent: Uint8Array[] = [];
    let closed = 0;
    const port = {
      send: ({ data }: { data: Uint8Array }) => void sent.push(data),
      connect() {},
      close: () => void closed++,
    };
    const { made, pass, node, back } = await setUp([{ port }]);
    const { vifs, seen } = made[0]!;
    vifs.start(7);
    await pass();
    expect(node(`${back(7)}/bridge`)).toBeUndefined();
    seen.get('0')!.send(toAll(1));
    await pass();
    vifs.stop(7);
    await pass();
    expect([sent.length, sent.every(isIntact), closed]).toEqual([1, true, 0]);
    await vifs.close();
    expect(closed).toBe(1);
  });

  it('may be captured, on a switch and with a port of their own', async () => {
    const pieces: Uint8Array[] = [];
    const clock = { now: () => 0, after: () => () => {}, completion: () => {} };
    const capture = new Capture({ clock, write: (bytes) => pieces.push(bytes) });
    const port = { send() {}, connect() {} };
    const { made, pass } = await setUp([{ capture }, { capture, port }], [{}]);
    for (const { vifs, domid } of made) vifs.start(domid);
    await pass();
    for (const id of ['0', '1']) made[0]!.seen.get(id)!.send(toAll(1, 300));
    await pass();
    const file = Buffer.concat(pieces).toString('latin1');
    expect(['vif7.0', 'vif7.1'].map((name) => file.includes(name))).toEqual([true, true]);
    // Two descriptions of an interface are shorter than two frames.
    expect(file.length).toBeGreaterThan(600);
    expect(made[1]!.receivedNow()).toBe(1);
    for (const { vifs, domid } of made) vifs.stop(domid);
  });

  it('count what goes by, over a restart', async () => {
    const { made, pass } = await setUp([{}], [{}]);
    for (const { vifs, domid } of made) vifs.start(domid);
    await pass();
    made[0]!.seen.get('0')!.send(toAll(1, 300));
    await pass();
    made[0]!.vifs.stop(7);
    await pass();
    made[0]!.vifs.start(7);
    await pass();
    made[0]!.seen.get('0')!.send(toAll(1, 300));
    await pass();
    const [sender, receiver] = made.map(({ vifs }) => vifs.get(0).statistics);
    expect(sender).toMatchObject({ txFrames: 2, txBytes: 600, rxFrames: 0 });
    expect(receiver).toMatchObject({ txFrames: 0, rxFrames: 2, rxBytes: 600, rxDropped: 0 });
  });

  it('may be without offloads', async () => {
    const { made, pass, node, back } = await setUp([{}, { offloads: false }]);
    made[0]!.vifs.start(7);
    await pass();
    expect([0, 1].map((id) => node(`${back(7, id)}/feature-gso-tcpv4`))).toEqual(['1', '0']);
  });

  it('are refused with a number twice, or an address that is none', async () => {
    await expect(setUp([{ devid: 1 }, { devid: 1 }])).rejects.toThrow('has a network interface 1 already');
    await expect(setUp([{ mac: 'here' }])).rejects.toThrow('no MAC address');
  });
});
