import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { demoKernel, faultKernel, helloKernel, neighbourKernel } from '@xenolith/guest-kernels';
import { describe, expect, it } from 'vitest';
import { TestHost } from './testing.js';

describe('a domain of which another maps pages', () => {
  it('is a zombie until they are unmapped: the pages stay as they were, and its number is not given out', async () => {
    const test = await TestHost.create();
    const { host } = test;
    const before = test.counts();
    const granter = test.boot(neighbourKernel, { name: 'granter', cmdline: 'grant 2' });
    const mapper = test.boot(neighbourKernel, { name: 'mapper', cmdline: 'map 1' });
    await test.until(() => mapper.output.includes('mapped of 1: hello, neighbour'));
    granter.guest.destroy();
    expect(host.domains).toEqual([mapper.guest]);
    expect(test.counts()).toMatchObject({ domains: 2, zombies: 1 });
    mapper.type('wr');
    await test.until(() => mapper.output.includes('read: changed'));
    mapper.type('u');
    await test.until(() => mapper.output.includes('unmapped: 0'));
    await test.until(() => test.counts().zombies === 0);
    expect(test.counts().domains).toBe(1);
    mapper.guest.destroy();
    expect(test.counts()).toEqual({ ...before, nodes: before.nodes! + 2 });
  });

  it('goes with the death of the domain that maps them', async () => {
    const test = await TestHost.create();
    const granter = test.boot(neighbourKernel, { name: 'granter', cmdline: 'grant 2' });
    const mapper = test.boot(neighbourKernel, { name: 'mapper', cmdline: 'map 1' });
    await test.until(() => mapper.output.includes('mapped of 1'));
    granter.type('c');
    await test.until(() => granter.guest.result !== undefined);
    expect(granter.guest.result?.reason).toBe('crash');
    expect(test.counts().zombies).toBe(1);
    mapper.guest.destroy();
    expect(test.counts()).toMatchObject({ domains: 0, zombies: 0 });
  });
});

describe('a large domain', () => {
  it('dies in pieces: it is listed as dying until its memory is back, and others run meanwhile', async () => {
    const test = await TestHost.create({ memoryMiB: 300, checkInterval: 0 });
    const { host } = test;
    const { hypervisor } = host;
    const other = test.boot(demoKernel);
    await test.until(() => other.output.includes('>'));
    const before = test.counts();
    const large = test.boot(demoKernel, { memoryMiB: 280 });
    await test.until(() => large.output.includes('>'));
    const { domid } = large.guest;
    large.guest.destroy();
    expect(await large.guest.ended).toMatchObject({ reason: 'destroyed' });
    expect(host.list()).toMatchObject([{ dying: false }, { domid, name: undefined, dying: true }]);
    other.type('echo meanwhile\r');
    let turns = 0;
    for (; hypervisor.isReleasing; turns++) hypervisor.run(100_000);
    expect(turns).toBeGreaterThan(1);
    await test.until(() => other.output.split('meanwhile').length > 2);
    expect(test.counts()).toMatchObject({ ...before, nodes: test.counts().nodes });
    expect(host.list()).toHaveLength(1);
  });

  it('gives its memory to its successor', async () => {
    const test = await TestHost.create({ memoryMiB: 300, checkInterval: 0 });
    const before = test.counts();
    const demo = test.boot(demoKernel, { memoryMiB: 280 });
    const first = demo.guest.domid;
    demo.type('reboot\r');
    await test.until(() => demo.guest.domid !== first);
    expect(demo.guest.result).toBeUndefined();
    demo.guest.destroy();
    expect(test.host.hypervisor.isReleasing).toBe(true);
    // The host runs on although there is no guest.
    await test.host.run();
    expect(test.counts()).toMatchObject({ freeFrames: before.freeFrames, domains: 0, zombies: 0 });
  });
});

describe('200 domains, made and destroyed', () => {
  it('leave every frame, port, grant and node as it was, whatever they were doing', {
    timeout: 300_000,
  }, async () => {
    const test = await TestHost.create({ memoryMiB: 24, checkInterval: 0 });
    const { host } = test;
    const stages: (() => Promise<void>)[] = [
      // Never unpaused.
      async () => test.create(demoKernel).guest.destroy(),
      // Running.
      async () => {
        const { guest } = test.boot(faultKernel, { cmdline: 'spin' });
        await host.run({ signal: AbortSignal.timeout(3) });
        guest.destroy();
      },
      // Waiting, with nodes of its own and a timer.
      async () => {
        const demo = test.boot(demoKernel, { vcpus: 2 });
        demo.type('sleep 1000\r');
        await test.until(() => demo.output.includes('sleep 1000'));
        demo.guest.pause();
        demo.guest.destroy();
      },
      // Ended by itself, and crashed.
      async () => {
        const { guest } = test.boot(helloKernel);
        await test.until(() => guest.result !== undefined);
      },
      async () => {
        const { guest } = test.boot(faultKernel, { cmdline: 'crash' });
        await test.until(() => guest.result?.reason === 'crash');
      },
      // In the middle of a reboot: the new domain has not run yet.
      async () => {
        const demo = test.boot(demoKernel);
        const first = demo.guest.domid;
        demo.type('reboot\r');
        await test.until(() => demo.guest.domid !== first);
        demo.guest.destroy();
      },
      // A page of it mapped by another, each dying first once.
      ...[0, 1].map((dies) => async () => {
        const next = host.hypervisor.lastDomid + 1;
        const granter = test.boot(neighbourKernel, { name: 'granter', cmdline: `grant ${next + 1}` });
        const mapper = test.boot(neighbourKernel, { name: 'mapper', cmdline: `map ${next}` });
        await test.until(() => mapper.output.includes('mapped'));
        (dies === 0 ? granter : mapper).guest.destroy();
        await host.run({ signal: AbortSignal.timeout(1) });
        (dies === 0 ? mapper : granter).guest.destroy();
      }),
    ];
    // More than once, so that what the engine keeps of code that it has compiled is there before the heap is measured.
    for (let round = 0; round < 8; round++) for (const stage of stages) await stage();
    const before = test.counts();
    expect(before).toMatchObject({ domains: 0, zombies: 0 });
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const heap = () => {
      collect();
      return process.memoryUsage().heapUsed;
    };
    const heapBefore = heap();
    const first = host.hypervisor.lastDomid;
    while (host.hypervisor.lastDomid - first < 200) {
      for (const stage of stages) await stage();
      expect(test.counts()).toEqual(before);
    }
    host.hypervisor.checks?.everything();
    expect(host.xenstore.server.check()).toEqual([]);
    // Nothing that grows with the number of domains.
    expect(heap() - heapBefore).toBeLessThan(1 << 20);
  });
});
