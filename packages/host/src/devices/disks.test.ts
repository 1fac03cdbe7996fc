import { blockFrontend, type FrontDisk, MemoryDevice } from '@xenolith/blkback';
import { serveFrontends } from '@xenolith/xenbus';
import { connectInMemory, XenstoreClient } from '@xenolith/xenstore';
import { describe, expect, it } from 'vitest';
import { createHost } from '../host.js';
import { createNativeGuest } from '../native-guest.js';
import type { DiskConfig } from './disk.js';
import { GuestDisks } from './guest-disks.js';

const FRONT = 7;
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A host with a guest in TypeScript that uses every disk it is given. */
async function setUp(configs: readonly DiskConfig[]) {
  const host = await createHost({ memoryMiB: 8, clock: 'virtual', strict: true });
  const native = createNativeGuest(host.hypervisor, { domid: FRONT });
  const { local, server } = host.xenstore;
  local.write(`/local/domain/${FRONT}`, '');
  local.setPermissions(`/local/domain/${FRONT}`, [{ domid: FRONT, access: 'n' }]);
  const guest = { ...native, xenstore: new XenstoreClient(connectInMemory(server, FRONT)) };
  const seen = new Map<string, FrontDisk | undefined>();
  serveFrontends(
    guest,
    blockFrontend(guest, (id, disk) => seen.set(id, disk)),
  );
  const disks = new GuestDisks(host, configs);
  const pass = async (turns = 20) => {
    for (let i = 0; i < turns; i++) {
      host.hypervisor.clock.advance(100_000);
      host.hypervisor.run(1);
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
  const node = (path: string) => local.readIfExists(path);
  return { host, disks, seen, pass, during, node };
}

const XVDA = '51712';
const back = `/local/domain/0/backend/vbd/${FRONT}/${XVDA}`;

describe('disks of a guest', () => {
  it('are there when it starts, and keep what it writes over a restart', async () => {
    const { disks, seen, pass, during, node } = await setUp([
      { vdev: 'xvda', device: new MemoryDevice(1 << 20) },
    ]);
    disks.start(FRONT);
    await pass();
    expect([seen.get(XVDA)?.size, node(`${back}/mode`), node(`${back}/state`)]).toEqual([1 << 20, 'w', '4']);
    await during(seen.get(XVDA)!.write(0, new Uint8Array(8192).fill(0x58)));
    disks.stop(FRONT);
    await pass();
    expect([seen.get(XVDA), node(back)]).toEqual([undefined, undefined]);
    disks.start(FRONT);
    await pass();
    expect((await during(seen.get(XVDA)!.read(4096, 512)))[0]).toBe(0x58);
  });

  it('come and go while it runs', async () => {
    const { disks, seen, pass, during, node, host } = await setUp([]);
    disks.start(FRONT);
    await pass();
    disks.attach({ vdev: 'xvdb', device: new MemoryDevice(1 << 16), readonly: true, trusted: false });
    await pass();
    expect(node(`/local/domain/${FRONT}/device/vbd/51728/trusted`)).toBe('0');
    expect(seen.get('51728')).toMatchObject({ size: 1 << 16, readonly: true });
    await expect(during(seen.get('51728')!.write(0, new Uint8Array(512)))).rejects.toThrow('status -1');
    await during(disks.detach('xvdb'));
    await pass();
    expect([seen.get('51728'), node(`/local/domain/0/backend/vbd/${FRONT}/51728`)]).toEqual([
      undefined,
      undefined,
    ]);
    host.hypervisor.checks?.everything();
    expect(() => disks.get('xvdb')).toThrow('has no disk xvdb');
  });

  it('change their medium, and their size', async () => {
    const { disks, seen, pass, during, node } = await setUp([
      { vdev: 'hdc', cdrom: true },
      { vdev: 'xvda', device: new MemoryDevice(1 << 16) },
    ]);
    disks.start(FRONT);
    await pass();
    const cdrom = `/local/domain/0/backend/vbd/${FRONT}/5632`;
    expect([node(`${cdrom}/sectors`), node(`${cdrom}/mode`)]).toEqual(['0', 'r']);
    disks.changeMedium('hdc', MemoryDevice.of(new Uint8Array(4096).fill(9)), 'debian.iso');
    await pass();
    expect([node(`${cdrom}/sectors`), node(`${cdrom}/params`)]).toEqual(['8', 'debian.iso']);
    expect((await during(seen.get('5632')!.read(0, 512)))[0]).toBe(9);
    expect(() => disks.changeMedium('xvda', undefined)).toThrow('no drive');
    (disks.get('xvda').device as MemoryDevice).resize(1 << 17);
    expect(await disks.resized('xvda')).toBe(1 << 17);
    await pass();
    expect(node(`${back}/sectors`)).toBe('256');
    disks.changeMedium('hdc', undefined);
    await expect(disks.resized('hdc')).rejects.toThrow('nothing in hdc');
  });

  it('are refused with a name twice, or with none', async () => {
    await expect(setUp([{ vdev: 'xvda' }, { vdev: '51712' }])).rejects.toThrow('has a disk 51712 already');
    await expect(setUp([{ vdev: 'floppy' }])).rejects.toThrow("'floppy' is no virtual device");
  });
});
