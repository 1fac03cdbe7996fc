import { blockBackend, blockFrontend, type FrontDisk, MemoryDevice } from '@xenolith/blkback';
import { neighbourKernel } from '@xenolith/guest-kernels';
import { serveBackends, serveFrontends } from '@xenolith/xenbus';
import { describe, expect, it } from 'vitest';
import { createHost } from './host.js';
import type { KernelGuest, NativeConfig } from './native-domain.js';
import { TestHost } from './testing.js';

const forever = new Promise<never>(() => {});
/** What a host has left when its domains are gone: two directories that they had in common stay. */
const after = (before: Record<string, number>) => ({ ...before, nodes: before.nodes! + 2 });
const sleep = (guest: KernelGuest, ns: number) => new Promise<void>((done) => guest.clock.after(ns, done));

/** A driver domain: serves disks of 64 KiB until it is told to shut down. */
const diskServer: NativeConfig = {
  name: 'server',
  async kernel(guest) {
    serveBackends(guest, blockBackend(guest, { open: async () => new MemoryDevice(1 << 16) }));
    await guest.xenstore.wait('control/shutdown', (order) => order === 'poweroff');
  },
};

function firstDisk(guest: KernelGuest): Promise<FrontDisk> {
  return new Promise((resolve) => {
    serveFrontends(
      guest,
      blockFrontend(guest, (_, disk) => disk && resolve(disk)),
    );
  });
}

describe('a native domain', () => {
  it('powers off when its kernel returns, and nothing of it is left', async () => {
    const test = await TestHost.create();
    const before = test.counts();
    let output = '';
    const domain = test.host.createNativeDomain({
      name: 'small',
      async kernel(guest) {
        const name = await guest.xenstore.read('name');
        guest.memory.allocate();
        const line = await guest.console.readLine(`${name}> `);
        guest.console.print(`You say ${line}.\n${'x'.repeat(9000)}`);
      },
      onConsole: (bytes) => {
        output += new TextDecoder().decode(bytes);
      },
    });
    domain.sendConsole(new TextEncoder().encode('hi\r'));
    await test.host.run();
    expect(await domain.ended).toEqual({ reason: 'poweroff' });
    expect(output).toBe(`small> hi\r\nYou say hi.\r\n${'x'.repeat(9000)}`);
    expect(test.counts()).toEqual(after(before));
    expect(domain.sendConsole(Uint8Array.of(1))).toBe(0);
  });

  for (const clock of ['virtual', 'real', 'paced'] as const) {
    it(`has timers where no other guest is, with the clock ${clock}`, async () => {
      const host = await createHost({ memoryMiB: 4, clock });
      let passed = 0;
      host.createNativeDomain({
        async kernel(guest) {
          const start = guest.clock.now();
          for (let i = 0; i < 3; i++) await sleep(guest, 10_000_000);
          passed = guest.clock.now() - start;
        },
      });
      await host.run();
      expect(passed).toBeGreaterThanOrEqual(30_000_000);
    });
  }

  it('crashes when its kernel or a handler throws, and the others go on', async () => {
    const test = await TestHost.create();
    const { host } = test;
    const before = test.counts();
    const bad = new Error('no such luck');
    const crashing = [
      async () => {
        throw bad;
      },
      async (guest: KernelGuest) => {
        guest.clock.after(1000, () => {
          throw bad;
        });
        await forever;
      },
      async (guest: KernelGuest) => {
        const port = guest.eventChannels.allocUnbound(guest.domid);
        guest.eventChannels.onEvent(guest.eventChannels.bindInterdomain(guest.domid, port), () => {
          throw bad;
        });
        await forever;
      },
      async (guest: KernelGuest) => {
        guest.clock.completion(Promise.resolve(), 1000, () => {
          throw bad;
        });
        await forever;
      },
    ].map((kernel) => host.createNativeDomain({ kernel }));
    const other = host.createNativeDomain({ kernel: (guest) => sleep(guest, 1e6) });
    await host.run();
    for (const { result } of crashing) expect(result).toEqual({ reason: 'crash', error: bad });
    expect(other.result?.reason).toBe('poweroff');
    expect(test.counts()).toEqual(after(before));
  });

  it('serves another one a disk, over grants and events of their own', async () => {
    const test = await TestHost.create();
    const before = test.counts();
    const server = test.host.createNativeDomain(diskServer);
    let found: unknown;
    const client = test.host.createNativeDomain({
      disks: [{ vdev: 'xvda', backend: server.domid, params: 'scratch' }],
      async kernel(guest) {
        const disk = await firstDisk(guest);
        await disk.write(512, new Uint8Array(512).fill(7));
        found = [disk.size, (await disk.read(0, 1024)).subarray(511, 513)];
        server.requestShutdown();
      },
    });
    await test.host.run();
    expect(found).toEqual([1 << 16, Uint8Array.of(0, 7)]);
    expect([client.result, server.result]).toEqual([{ reason: 'poweroff' }, { reason: 'poweroff' }]);
    expect(test.counts()).toEqual(after(before));
  });

  it('that serves a disk may die, and its code does no harm any more', async () => {
    const test = await TestHost.create();
    const before = test.counts();
    const left: unknown[] = [];
    let served: KernelGuest | undefined;
    const server = test.host.createNativeDomain({
      kernel(guest) {
        served = guest;
        return diskServer.kernel(guest);
      },
    });
    const client = test.host.createNativeDomain({
      disks: [{ vdev: 'xvda', backend: server.domid, params: 'scratch' }],
      async kernel(guest) {
        await firstDisk(guest);
        server.destroy();
        const own = served!;
        left.push(own.memory.allocate(), own.eventChannels.allocUnbound(0), own.grants.map(guest.domid, 8));
        own.clock.after(0, () => left.push('a timer'));
        await sleep(guest, 1e9);
      },
    });
    await test.host.run();
    expect(server.result).toEqual({ reason: 'destroyed' });
    expect(client.result).toEqual({ reason: 'poweroff' });
    expect(left).toEqual([undefined, -3, -2]);
    expect(test.counts()).toEqual(after(before));
  });

  it('whose pages a PV domain maps is a zombie until they are unmapped', async () => {
    const test = await TestHost.create();
    const { host } = test;
    const before = test.counts();
    const granter = host.createNativeDomain({
      async kernel(guest) {
        const page = guest.memory.allocate()!;
        page.write(0, new TextEncoder().encode('hello, native'));
        guest.grants.grantAccess(guest.domid + 1, page);
        await forever;
      },
    });
    const mapper = test.boot(neighbourKernel, { cmdline: `map ${granter.domid}` });
    await test.until(() => mapper.output.includes('hello, native'));
    const listed = () => host.list().map(({ domid, name, dying }) => [domid, name, dying]);
    const { domid } = granter;
    expect(listed()).toEqual([
      [domid, 'guest', false],
      [domid + 1, 'guest-2', false],
    ]);
    granter.destroy();
    expect(test.counts().zombies).toBe(1);
    expect(listed()[0]).toEqual([domid, undefined, true]);
    mapper.type('r');
    await test.until(() => mapper.output.includes('read: hello, native'));
    mapper.type('u');
    await test.until(() => test.counts().zombies === 0);
    mapper.guest.destroy();
    await host.run();
    expect(test.counts()).toEqual(after(before));
  });

  it('is refused where there is no memory for it, or with a name that another has', async () => {
    const host = await createHost({ memoryMiB: 1, clock: 'virtual' });
    const kernel = () => forever;
    host.createNativeDomain({ name: 'one', kernel });
    expect(() => host.createNativeDomain({ name: 'one', kernel })).toThrow('There is a domain "one" already');
    const pages = [];
    for (let page = host.dom0.memory.allocate(); page; page = host.dom0.memory.allocate()) pages.push(page);
    // Not even for its grant table; and for that, but not for the pages of both rings.
    for (const left of [0, 2]) {
      for (const page of pages.splice(0, left)) host.dom0.memory.free(page);
      const free = host.hypervisor.memory.frames.freeFrames;
      expect(() => host.createNativeDomain({ kernel })).toThrow(/no (frame|memory) left/);
      expect(host.hypervisor.memory.frames.freeFrames).toBe(free);
    }
    expect(host.hypervisor.natives.size).toBe(2);
  });
});
