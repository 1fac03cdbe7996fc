import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { Machine, pieces } from './debian-machine.js';
import { BOOT, Shell } from './guest-shell.js';
import { freePort, isListening, outsideRamdisk, reason, serveHttp } from './outside.js';
import { xenolith } from './xenolith.js';

describe.skipIf(reason !== undefined)(`network interfaces that come and go (${reason ?? 'found'})`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'debian-hotplug-'));
  const env = { XDG_RUNTIME_DIR: directory };
  let machine: Machine | undefined;
  afterEach(() => machine?.kill());
  afterAll(() => rmSync(directory, { recursive: true }));

  const command = async (...args: string[]): Promise<string> => {
    const outcome = await xenolith(args, { env });
    expect(outcome).toMatchObject({ status: 0, stderr: '' });
    return outcome.stdout;
  };

  it('are seen by a guest, and work', async () => {
    writeFileSync(join(directory, 'initrd.gz'), outsideRamdisk('shell-init.sh'));
    const config = join(directory, 'guest.cfg');
    writeFileSync(
      config,
      `name = "guest"\nkernel = "${pieces!.vmlinuz}"\nramdisk = "${directory}/initrd.gz"\nmemory = 256
cmdline = "console=hvc0 quiet"\n`,
    );
    machine = new Machine(['up', config], { terminal: true, env });
    await machine.expect(/READY[\s\S]*# $/, BOOT);
    const shell = new Shell(machine);
    const interfaces = async () =>
      (await shell.run('ls /sys/class/net')).join(' ').split(/\s+/).filter(Boolean);
    expect(await interfaces()).toEqual(['lo']);

    // On a switch that nobody else is on: its carrier is there.
    await command('network-attach', 'guest', 'bridge=lan', 'mac=00:16:3e:00:00:01');
    await shell.until('ls /sys/class/net', /eth0/);
    expect(await shell.run('cat /sys/class/net/eth0/address')).toEqual(['00:16:3e:00:00:01']);
    await shell.run('ip link set eth0 up');
    await shell.until('cat /sys/class/net/eth0/carrier', /^1$/);

    // To the outside.
    const forwarded = await freePort();
    const passt = `type=passt,restrict=1,loopback=1,tcp=${forwarded}:80`;
    await command('network-attach', 'guest', `${passt},mac=00:16:3e:00:00:02`);
    await shell.until('ls /sys/class/net', /eth1/);
    await shell.run('ip link set eth1 up');
    expect((await shell.run('udhcpc -i eth1 -s /dhcp -n -q 2>&-')).join()).toContain('LEASE 10.0.2.15/24');
    const { server, port } = await serveHttp((_request, response) => response.end('from outside\n'));
    expect(await shell.run(`wget -q -O - http://10.0.2.2:${port}/`)).toEqual(['from outside']);
    server.close();
    expect(await isListening(forwarded)).toBe(true);

    const list = (await command('network-list', 'guest')).trim().split('\n').slice(1);
    expect(list).toEqual([
      expect.stringMatching(/^0 {3}0 {2}00:16:3e:00:00:01 +0 +4 .* \/local\/domain\/0\/backend\/vif\/1\/0$/),
      expect.stringMatching(/^1 {3}0 {2}00:16:3e:00:00:02 +1 +4 .* \/local\/domain\/0\/backend\/vif\/1\/1$/),
    ]);

    await command('network-detach', 'guest', '00:16:3E:00:00:02');
    await shell.until('ls /sys/class/net | grep -c eth', /^1$/);
    expect(await isListening(forwarded)).toBe(false);
    await command('network-detach', 'guest', '0');
    await shell.until('ls /sys/class/net | grep -c eth', /^0$/);
    expect((await command('network-list', 'guest')).trim().split('\n')).toHaveLength(1);
    machine.type('poweroff -f\r');
    expect((await machine.end()).status).toBe(0);
  });
});
