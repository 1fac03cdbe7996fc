import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { Machine, pieces } from './debian-machine.js';
import { BOOT, Shell } from './guest-shell.js';
import { freePort, isListening, outsideRamdisk, reason, serveHttp } from './outside.js';
import { xenolith } from './xenolith.js';

/** A relay for raw frames on the loopback, with a machine behind it that answers who asks for its address by ARP. */
async function startRelay() {
  const relay = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await new Promise((resolve) => relay.once('listening', resolve));
  const left = new Promise((resolve) =>
    relay.on('connection', (socket) => {
      socket.on('close', resolve);
      socket.on('message', (frame: Buffer) => {
        if (frame.readUInt16BE(12) !== 0x0806 || frame.readUInt16BE(20) !== 1) return;
        const mac = Buffer.of(2, 0, 0, 0, 0, 2);
        const [asker, asked] = [frame.subarray(22, 32), frame.subarray(38, 42)];
        const head = Buffer.of(8, 6, 0, 1, 8, 0, 6, 4, 0, 2);
        socket.send(Buffer.concat([frame.subarray(6, 12), mac, head, mac, asked, asker]));
      });
    }),
  );
  const { port } = relay.address() as AddressInfo;
  return { url: `ws://127.0.0.1:${port}/`, left, close: () => relay.close() };
}

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
    const passt = `type=passt,restrict=1,loopback=1,mtu=65000,tcp=${forwarded}:80`;
    await command('network-attach', 'guest', `${passt},mac=00:16:3e:00:00:02`);
    await shell.until('ls /sys/class/net', /eth1/);
    await shell.run('ip link set eth1 up');
    expect((await shell.run('udhcpc -i eth1 -s /dhcp -n -q 2>&-')).join()).toContain('LEASE 10.0.2.15/24');
    expect(await shell.run('cat /sys/class/net/eth1/mtu')).toEqual(['65000']);
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

    // To a relay, which knows one machine.
    const relay = await startRelay();
    await command('network-attach', 'guest', `type=websocket,url=${relay.url}`, 'mac=00:16:3e:00:00:03');
    await shell.until('ls /sys/class/net | grep -c eth', /^2$/);
    await shell.run('ip addr add 10.0.9.1/24 dev eth1; ip link set eth1 up');
    expect((await shell.run('arping -c 1 -w 20 -I eth1 10.0.9.2')).join()).toMatch(
      /reply from 10\.0\.9\.2 \[02:00:00:00:00:02\]/,
    );
    await command('network-detach', 'guest', '00:16:3e:00:00:03');
    await relay.left;
    relay.close();
    await shell.until('ls /sys/class/net | grep -c eth', /^1$/);

    await command('network-detach', 'guest', '0');
    await shell.until('ls /sys/class/net | grep -c eth', /^0$/);
    expect((await command('network-list', 'guest')).trim().split('\n')).toHaveLength(1);
    machine.type('poweroff -f\r');
    expect((await machine.end()).status).toBe(0);
  });
});
