import { compileInterpreter } from '@xenolith/cpu-emulator';
import { demoKernel, faultKernel, helloKernel } from '@xenolith/guest-kernels';
import { BadInputError } from '@xenolith/host-interface';
import { describe, expect, it } from 'vitest';
import type { DomainConfig } from './domain-config.js';
import type { GuestDomain } from './guest-domain.js';
import { createHost, type Host } from './host.js';
import { loadKernel } from './kernel.js';

const text = new TextDecoder();
const bytes = (input: string) => new TextEncoder().encode(input);

const interpreter = compileInterpreter();

interface Run {
  host: Host;
  guest: GuestDomain;
  output: string;
}

async function create(kernel: Uint8Array, config: Partial<DomainConfig> = {}): Promise<Run> {
  const host = await createHost({
    memoryMiB: 16,
    clock: 'virtual',
    strict: true,
    interpreter: await interpreter,
  });
  const run = { host, output: '' } as Run;
  run.guest = host.createDomain({
    kernel: loadKernel(kernel),
    memoryMiB: 8,
    onConsole: (chunk) => {
      run.output += text.decode(chunk);
    },
    ...config,
  });
  return run;
}

async function boot(kernel: Uint8Array, config: Partial<DomainConfig> = {}, input = '') {
  const run = await create(kernel, config);
  run.guest.sendConsole(bytes(input));
  run.guest.unpause();
  await run.host.run();
  return { ...run, result: await run.guest.ended };
}

describe('a guest’s life', () => {
  it('runs from creation to power-off', async () => {
    const { host, output, result } = await boot(helloKernel);
    expect(output).toBe('Hello from a Xen guest.\r\n');
    expect(result).toEqual({ reason: 'poweroff', code: 0, restarts: 0 });
    expect(host.domains).toEqual([]);
  });

  it('talks to its console and to xenstore', async () => {
    const { output } = await boot(demoKernel, { name: 'talker' }, 'xenstore name\rpoweroff\r');
    expect(output).toContain('name = "talker"');
  });

  it('starts again after a reboot, under a new number', async () => {
    const run = await create(demoKernel);
    const inputs = [bytes('reboot\r'), bytes('poweroff\r')];
    const domids: number[] = [];
    const feed = () => {
      domids.push(run.guest.domid);
      run.guest.sendConsole(inputs.shift()!);
    };
    run.guest.config.onConsoleRoom = feed;
    feed();
    run.guest.unpause();
    await run.host.run();
    expect(await run.guest.ended).toMatchObject({ reason: 'poweroff', restarts: 1 });
    expect(run.output.match(/demo> /g)).toHaveLength(2);
  });

  it('ends at a reboot where that is wanted', async () => {
    const { result } = await boot(demoKernel, { onReboot: 'destroy' }, 'reboot\r');
    expect(result).toMatchObject({ reason: 'reboot', code: 1, restarts: 0 });
  });

  it('reports a crash', async () => {
    const { result } = await boot(faultKernel, { cmdline: 'crash' });
    expect(result.reason).toBe('crash');
    expect(result.crash?.reason).toContain('#UD');
    expect([...result.crash!.code.subarray(0, 2)]).toEqual([0x0f, 0x0b]);
  });

  it('is destroyed from outside, and leaves memory, ports and nodes as they were', async () => {
    const { guest, host } = await create(demoKernel);
    const free = () => host.hypervisor.memory.frames.freeFrames;
    const nodes = () => host.xenstore.local.list('/local/domain');
    expect(nodes()).toEqual(['0', '1']);
    guest.destroy();
    const before = free();
    expect(nodes()).toEqual(['0']);
    for (let i = 0; i < 20; i++)
      host.createDomain({ kernel: loadKernel(demoKernel), memoryMiB: 8 }).destroy();
    expect(free()).toBe(before);
    expect(nodes()).toEqual(['0']);
    expect(host.xenstore.server.check()).toEqual([]);
  });

  it('gives the same run twice under the virtual clock', async () => {
    const script = 'time\rsleep 2\ruptime\rxenstore\rpoweroff\r';
    const [one, two] = [await boot(demoKernel, {}, script), await boot(demoKernel, {}, script)];
    expect(two.output).toBe(one.output);
    expect(two.host.hypervisor.retired).toBe(one.host.hypervisor.retired);
    expect(one.output).toContain('2025-01-01');
  });
});

describe('a host', () => {
  it('sleeps while its guest waits, and wakes for input', async () => {
    const { guest, host } = await create(demoKernel);
    guest.unpause();
    const running = host.run();
    await new Promise((resolve) => setTimeout(resolve, 200));
    const idle = host.hypervisor.retired;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(host.hypervisor.retired).toBe(idle);
    guest.sendConsole(bytes('poweroff\r'));
    await running;
    expect(guest.result?.reason).toBe('poweroff');
  });

  it('stops when told, and goes on', async () => {
    const { guest, host } = await create(faultKernel, { cmdline: 'spin' });
    guest.unpause();
    await host.run({ signal: AbortSignal.timeout(50) });
    const before = host.hypervisor.retired;
    await host.run({ signal: AbortSignal.timeout(50) });
    expect(host.hypervisor.retired).toBeGreaterThan(before);
    guest.destroy();
    await host.run();
    expect(await guest.ended).toMatchObject({ reason: 'destroyed' });
  });

  it('shares the processor among guests by weight and cap, with the scheduler credit', async () => {
    const host = await createHost({
      memoryMiB: 32,
      clock: 'virtual',
      scheduler: 'credit',
      interpreter: await interpreter,
    });
    const kernel = loadKernel(faultKernel);
    const guests = [{ weight: 256 }, { weight: 512 }, { weight: 4096, cap: 25 }].map((share) =>
      host.createDomain({ kernel, memoryMiB: 8, cmdline: 'spin', ...share }),
    );
    for (const guest of guests) guest.unpause();
    const used = () => guests.map(({ domain }) => domain!.vcpus[0]!.retired);
    // Until the capped guest has saved the credit that it may not use.
    host.hypervisor.run(150_000_000);
    const before = used();
    host.hypervisor.run(300_000_000);
    const shares = used().map((retired, n) => (retired - before[n]!) / 300_000_000);
    [0.25, 0.5, 0.25].forEach((wanted, n) => {
      expect(Math.abs(shares[n]! / wanted - 1), shares.join(' ')).toBeLessThan(0.05);
    });
  });

  it('has more vCPUs than are online, and asks the guest to change which', async () => {
    const { host, guest } = await create(demoKernel, { vcpus: 1, maxVcpus: 3 });
    const availability = () =>
      [0, 1, 2].map((id) => host.xenstore.local.read(`/local/domain/${guest.domid}/cpu/${id}/availability`));
    expect(guest.domain!.vcpus).toHaveLength(3);
    expect(availability()).toEqual(['online', 'offline', 'offline']);
    let events = 0;
    host.xenstore.local.watch(`/local/domain/${guest.domid}/cpu/2`, () => events++);
    guest.setVcpus(3);
    expect(availability()).toEqual(['online', 'online', 'online']);
    expect([guest.vcpus, events]).toEqual([3, 2]);
    for (const count of [0, 4, 1.5]) expect(() => guest.setVcpus(count)).toThrow(BadInputError);
    expect(guest.vcpus).toBe(3);
    guest.destroy();
    guest.setVcpus(2);
  });

  it('has as many vCPUs online after a reboot as before', async () => {
    const { host, guest } = await create(demoKernel, { maxVcpus: 3 });
    guest.config.onConsoleRoom = () => {
      const path = `/local/domain/${guest.domid}/cpu`;
      const online = [0, 1, 2].map((id) => host.xenstore.local.read(`${path}/${id}/availability`));
      expect(online).toEqual(['online', 'online', 'offline']);
      guest.destroy();
    };
    guest.setVcpus(2);
    guest.sendConsole(bytes('reboot\r'));
    guest.unpause();
    await host.run();
    expect(await guest.ended).toMatchObject({ reason: 'destroyed', restarts: 1 });
    expect(guest.vcpuInstructions[0]).toBe(host.hypervisor.retired);
  });

  it('counts the instructions of each vCPU, also of one that has ended', async () => {
    const { host, guest } = await boot(helloKernel, { vcpus: 2 });
    expect(guest.vcpuInstructions).toEqual([host.hypervisor.retired, 0]);
    expect(host.hypervisor.retired).toBeGreaterThan(0);
  });

  it('refuses what it cannot do, and keeps nothing of it', async () => {
    const { host } = await create(demoKernel);
    const kernel = loadKernel(demoKernel);
    const make = (config: Partial<DomainConfig>) => () => host.createDomain({ kernel, ...config });
    expect(make({ memoryMiB: 64 })).toThrow(BadInputError);
    expect(make({ vcpus: 0 })).toThrow(BadInputError);
    expect(make({ vcpus: 3, maxVcpus: 2 })).toThrow(BadInputError);
    expect(make({ weight: 0 })).toThrow(BadInputError);
    expect(make({ memoryMiB: 8, cap: 101 })).toThrow(BadInputError);
    expect(make({ memoryMiB: 8, cmdline: 'x'.repeat(2000) })).toThrow(BadInputError);
    expect(make({ memoryMiB: 8, uuid: 'no' })).toThrow(BadInputError);
    expect(make({ memoryMiB: 8, ramdisk: new Uint8Array(16 << 20) })).toThrow(BadInputError);
    expect(host.xenstore.local.list('/local/domain')).toEqual(['0', '1']);
    expect(make({ memoryMiB: 8 })).not.toThrow();
    await expect(createHost({ memoryMiB: 1e6 })).rejects.toThrow(BadInputError);
  });
});
