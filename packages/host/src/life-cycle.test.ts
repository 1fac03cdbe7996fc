import { demoKernel, faultKernel, helloKernel, neighbourKernel } from '@xenolith/guest-kernels';
import { BadInputError } from '@xenolith/host-interface';
import { describe, expect, it } from 'vitest';
import { loadKernel } from './kernel.js';
import type { DomainResult } from './result.js';
import type { ShutdownAction } from './shutdown-action.js';
import { TestHost } from './testing.js';

describe('what becomes of a guest that has shut down', () => {
  it.each([
    ['poweroff\r', 'onPoweroff', 'poweroff'],
    ['reboot\r', 'onReboot', 'reboot'],
    ['crash\r', 'onCrash', 'crash'],
  ] as const)('%j is up to %s', async (letters, key, reason) => {
    const test = await TestHost.create();
    const told: [DomainResult, ShutdownAction][] = [];
    const onShutdown = (how: DomainResult, action: ShutdownAction) => void told.push([how, action]);
    const again = test.boot(demoKernel, { [key]: 'restart', onShutdown });
    again.type(letters);
    await test.until(() => again.guest.domid === 2 && again.output.match(/demo> /g)?.length === 2);
    expect(told).toMatchObject([[{ reason, restarts: 0 }, 'restart']]);
    again.guest.destroy();
    expect(again.guest.result).toMatchObject({ reason: 'destroyed', restarts: 1 });

    const gone = test.boot(demoKernel, { [key]: 'destroy' });
    gone.type(letters);
    await test.until(() => gone.guest.result !== undefined);
    expect(gone.guest.result?.reason).toBe(reason);
    expect(test.host.list()).toEqual([]);
  });

  it('preserve: it stays, with its memory and its nodes, until it is destroyed', async () => {
    const test = await TestHost.create();
    const { host } = test;
    const { guest } = test.boot(faultKernel, { cmdline: 'crash', onCrash: 'preserve' });
    await test.until(() => guest.halted !== undefined);
    expect(guest.result).toBeUndefined();
    expect(host.list()).toMatchObject([{ domid: 1, shutdown: 'crash', memoryKiB: 4096, dying: false }]);
    expect(host.xenstore.local.read('/local/domain/1/name')).toBe('guest');
    guest.unpause();
    guest.requestShutdown();
    await host.run({ signal: AbortSignal.timeout(20) });
    guest.destroy();
    expect(guest.result).toMatchObject({
      reason: 'crash',
      crash: { reason: expect.stringContaining('#UD') },
    });
    expect(host.list()).toEqual([]);
  });

  it('rename-restart: it stays under another name and UUID while a new one starts', async () => {
    const test = await TestHost.create();
    const { host } = test;
    const uuid = '01234567-89ab-cdef-0123-456789abcdef';
    const demo = test.boot(demoKernel, { name: 'web', uuid, onReboot: 'rename-restart' });
    for (const domid of [2, 3]) {
      demo.type('reboot\r');
      await test.until(() => demo.guest.domid === domid);
    }
    expect(host.list().map(({ domid, name, shutdown }) => [domid, name, shutdown])).toEqual([
      [1, 'web-20250101T0000Z', 'reboot'],
      [2, 'web-20250101T0000Z-2', 'reboot'],
      [3, 'web', undefined],
    ]);
    expect(host.find(3)?.uuid).toBe(uuid);
    expect(host.xenstore.local.list('/vm')).toHaveLength(3);
    expect(host.xenstore.local.read(`/vm/${host.find(1)!.uuid}/name`)).toBe('web-20250101T0000Z');
    for (const guest of host.domains) guest.destroy();
    expect(host.xenstore.local.list('/vm')).toEqual([]);
    expect(host.xenstore.local.list('/local/domain')).toEqual(['0']);
    expect(host.xenstore.server.check()).toEqual([]);
  });

  it('ends, and says why, where there is no memory to start again', async () => {
    const test = await TestHost.create({ memoryMiB: 1 });
    const big = test.boot(demoKernel, { memoryMiB: 10, onReboot: 'rename-restart' });
    big.type('reboot\r');
    await test.until(() => big.guest.result !== undefined);
    expect(big.guest.result).toMatchObject({ reason: 'reboot', restarts: 0 });
    expect(big.guest.result?.restartProblem).toContain('free frames');
    expect(test.host.list()).toMatchObject([{ domid: 1, shutdown: 'reboot' }]);
  });
});

describe('several guests', () => {
  it('have names and UUIDs of their own', async () => {
    const test = await TestHost.create();
    const make = (config: object) => () => test.create(helloKernel, config).guest;
    const uuid = '01234567-89ab-cdef-0123-456789abcdef';
    const before = test.counts().freeFrames;
    const first = make({ name: 'a', uuid })();
    const taken = test.counts().freeFrames;
    expect(make({ name: 'a' })).toThrow('There is a domain "a" already: number 1.');
    expect(make({ name: 'b', uuid: uuid.toUpperCase() })).toThrow(
      `"a", number 1, has the UUID ${uuid} already`,
    );
    for (const name of ['', '12', 'Domain-0', 'x\ny', 'x'.repeat(256)])
      expect(make({ name })).toThrow(BadInputError);
    expect(make({ vcpus: 3, maxVcpus: 2 })).toThrow('1 to 2 online, not 3');
    expect(make({ memoryMiB: 8, maxMemoryMiB: 4 })).toThrow('more than the domain may have');
    expect(test.counts().freeFrames).toBe(taken);
    expect([make({})(), make({})(), make({})()].map(({ name }) => name)).toEqual([
      'guest',
      'guest-2',
      'guest-3',
    ]);
    expect([test.host.find('a'), test.host.find(1), test.host.find('1')]).toEqual([first, first, first]);
    expect(test.host.find('z')).toBeUndefined();
    for (const guest of test.host.domains) guest.destroy();
    expect(test.counts().freeFrames).toBe(before);
  });

  it('live and die apart from each other', async () => {
    const test = await TestHost.create();
    const [a, b] = [test.boot(demoKernel, { name: 'a' }), test.boot(demoKernel, { name: 'b' })];
    const bad = ['crash', 'stack', 'recurse', 'panic'].map((cmdline) =>
      test.boot(faultKernel, { name: cmdline, cmdline }),
    );
    const spins = test.boot(faultKernel, { name: 'spins', cmdline: 'spin' });
    a.type('xenstore name\r');
    await test.until(() => a.output.includes('name = "a"') && bad.every(({ guest }) => guest.result));
    expect(bad.map(({ guest }) => guest.result?.reason)).toEqual(Array(4).fill('crash'));
    spins.guest.destroy();
    a.guest.destroy();
    b.type('xenstore name\rpoweroff\r');
    await test.host.run();
    expect(b.output).toContain('name = "b"');
    expect(b.guest.result?.reason).toBe('poweroff');
  });

  it('are listed with what they do', async () => {
    const test = await TestHost.create();
    test.create(helloKernel, { name: 'new', vcpus: 2 });
    const waits = test.boot(demoKernel, { name: 'waits', memoryMiB: 8 });
    const spins = test.boot(faultKernel, { name: 'spins', cmdline: 'spin' });
    await test.until(() => waits.output.includes('demo> '));
    spins.guest.pause();
    await test.host.run({ signal: AbortSignal.timeout(20) });
    const [first, second, third] = test.host.list();
    expect(first).toMatchObject({ domid: 1, name: 'new', paused: true, running: false, cpuTimeNs: 0 });
    expect(second).toMatchObject({ domid: 2, memoryKiB: 8192, vcpus: 1, paused: false, blocked: true });
    expect(third).toMatchObject({ domid: 3, paused: true, blocked: false, shutdown: undefined });
    expect(third!.cpuTimeNs).toBeGreaterThan(1e6);
    const { cpuTimeNs } = third!;
    await test.host.run({ signal: AbortSignal.timeout(20) });
    expect(test.host.list()[2]!.cpuTimeNs).toBe(cpuTimeNs);
    spins.guest.unpause();
    await test.until(() => test.host.list()[2]!.cpuTimeNs > cpuTimeNs);
  });

  it('a zombie is listed without a name', async () => {
    const test = await TestHost.create();
    const granter = test.boot(neighbourKernel, { name: 'granter', cmdline: 'grant 2' });
    const mapper = test.boot(neighbourKernel, { name: 'mapper', cmdline: 'map 1' });
    await test.until(() => mapper.output.includes('mapped'));
    granter.guest.destroy();
    expect(test.host.list()[0]).toMatchObject({ domid: 1, name: undefined, dying: true, memoryKiB: 4 });
  });

  it('may be paused, unpaused, shut down and destroyed at any moment, from their consoles’ output too', async () => {
    const test = await TestHost.create();
    const { host } = test;
    let pieces = 0;
    const bystander = host.createDomain({
      kernel: loadKernel(demoKernel),
      memoryMiB: 4,
      name: 'bystander',
      onConsole: () => void pieces++,
    });
    bystander.unpause();
    await test.host.run({ signal: AbortSignal.timeout(200) });
    expect(pieces).toBeGreaterThan(1);
    // From within what the hypervisor does, at each piece of output once.
    for (let piece = 1, all = pieces; piece <= all; piece++) {
      let seen = 0;
      const guest = host.createDomain({
        kernel: loadKernel(demoKernel),
        memoryMiB: 4,
        onConsole() {
          if (++seen === piece) {
            guest.pause();
            guest.unpause();
            guest.requestShutdown();
            guest.destroy();
            guest.destroy();
            guest.unpause();
          }
        },
      });
      guest.unpause();
      await test.until(() => guest.result !== undefined);
      expect(guest.result?.reason).toBe('destroyed');
      expect(guest.sendConsole(new Uint8Array(1))).toBe(0);
    }
    pieces = 0;
    bystander.sendConsole(new TextEncoder().encode('help\r'));
    await test.until(() => pieces > 1);
    expect(host.list()).toHaveLength(1);
  });
});
