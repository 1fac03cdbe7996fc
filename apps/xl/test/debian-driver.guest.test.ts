import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { busyboxInitramfs, moduleEntries } from '@xenolith-tooling/debian';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { Machine, pieces, reason } from './debian-machine.js';
import { BOOT, Shell } from './guest-shell.js';
import { xenolith } from './xenolith.js';

const directory = mkdtempSync(join(tmpdir(), 'debian-driver-'));
afterAll(() => rmSync(directory, { recursive: true }));
const env = { XDG_RUNTIME_DIR: directory };

const MEBIBYTES = 4;

/** A file of random bytes. @returns its path */
function random(name: string): string {
  const path = join(directory, name);
  writeFileSync(path, randomBytes(MEBIBYTES << 20));
  return path;
}

/** As sha256sum prints it. */
const shaOf = (path: string): string => `${createHash('sha256').update(readFileSync(path)).digest('hex')}  -`;

/** Writes a guest's configuration. @returns its path */
function guest(name: string, ramdisk: string, ...lines: string[]): string {
  const path = join(directory, `${name}.cfg`);
  const common = [
    `name = "${name}"`,
    `kernel = "${pieces!.vmlinuz}"`,
    `ramdisk = "${ramdisk}"`,
    'memory = 256',
  ];
  writeFileSync(path, [...common, ...lines].join('\n'));
  return path;
}

/** A guest that has its disk driver, its network driver and xenstore's commands. @returns the path of its initramfs */
function frontRamdisk(): string {
  const { busybox, modules, xenTools } = pieces!;
  const path = join(directory, 'front.gz');
  const init = readFileSync(new URL('../fixtures/obey-init.sh', import.meta.url));
  const drivers = moduleEntries(modules, ['xen-blkfront', 'xen-netfront']);
  writeFileSync(path, Buffer.concat([busyboxInitramfs(busybox, init, drivers), readFileSync(xenTools)]));
  return path;
}

describe.skipIf(pieces === undefined)(`a driver domain of Debian's (${reason ?? 'found'})`, () => {
  const machines: Machine[] = [];
  const start = (...args: string[]): Machine => {
    const machine = new Machine(args, { env });
    machines.push(machine);
    return machine;
  };
  afterEach(() => {
    for (const machine of machines.splice(0)) machine.kill();
  });

  it('serves disks and a network to another guest; dies without harm to it; serves again', async () => {
    const [busy, idle] = [random('busy.img'), random('idle.img')];
    const driver = guest(
      'driver',
      pieces!.driverInitrd,
      'driver_domain = 1',
      'cmdline = "console=hvc0 quiet address=10.0.0.1/24"',
      `disk = ["${busy},raw,xvda,rw", "${idle},raw,xvdb,rw"]`,
    );
    const front = guest(
      'front',
      frontRamdisk(),
      'cmdline = "console=hvc0 quiet"',
      'disk = ["backend=driver,vdev=xvda,target=/dev/xvda", "backend=driver,vdev=xvdb,target=/dev/xvdb"]',
      'vif = ["backend=driver,mac=00:16:3e:00:00:02"]',
    );
    const ask = async (...args: string[]): Promise<string> => {
      const { status, stdout, stderr } = await xenolith(args, { env });
      expect({ status, stderr }, args.join(' ')).toEqual({ status: 0, stderr: '' });
      return stdout;
    };
    const names = async (): Promise<string[]> =>
      JSON.parse(await ask('list', '--json')).map(({ name }: { name: string }) => name);

    // A slow machine must not let the timeouts of `xl devd` strike: time in the guests goes by what they do.
    const host = start('up', driver, '--memory', '800', '--clock', 'paced');
    await host.expect(/driver\| This is a driver domain/, BOOT);
    await ask('create', front);
    const console = start('console', 'front');
    await console.expect(/(^|\n)# $/, BOOT);
    const shell = new Shell(console);

    // Data goes from this machine's file through domain 0 and the driver domain into the guest, and back.
    await shell.until('cat /proc/partitions', /4096 xvdb/);
    expect(await shell.run('sha256sum < /dev/xvdb')).toEqual([shaOf(idle)]);
    await shell.run(`dd if=/dev/urandom of=/tmp/data bs=1M count=${MEBIBYTES} 2>/dev/null`);
    await shell.run('dd if=/tmp/data of=/dev/xvdb bs=1M conv=fsync 2>/dev/null');
    expect(await shell.run('sha256sum < /tmp/data')).toEqual([shaOf(idle)]);

    const network = async (): Promise<void> => {
      await shell.until('cat /sys/class/net/eth0/operstate', /down|unknown/);
      await shell.run('ip addr add 10.0.0.2/24 dev eth0; ip link set eth0 up');
      await shell.until('ping -c 1 -W 1 10.0.0.1', /, 0% packet loss/);
      expect((await shell.run('ping -c 3 -i 0.2 10.0.0.1')).join()).toContain(
        '3 packets received, 0% packet loss',
      );
    };
    await network();

    // It is killed while the guest writes.
    const state = '/local/domain/1/backend/vbd/2/51712/state';
    await shell.run(`xenstore-watch ${state} > /tmp/seen &`);
    await shell.run(
      'while dd if=/tmp/data of=/dev/xvda bs=1M conv=fsync; do echo >> /tmp/writes; done 2>/dev/null &',
    );
    await shell.until('wc -l < /tmp/writes', /^[2-9]|\d\d/);
    expect(await shell.run(`xenstore-read ${state}; wc -l < /tmp/seen`)).toEqual(['4', '1']);
    await ask('destroy', 'driver');
    expect(await names()).toEqual(['front']);
    // The guest's watch tells it, and it lives; what it writes waits for an answer.
    await shell.until('wc -l < /tmp/seen', /^2$/);
    expect((await shell.run(`xenstore-read ${state}`)).join()).toContain("couldn't read path");
    const [writes] = await shell.run('wc -l < /tmp/writes');
    expect(await shell.run('sleep 1; wc -l < /tmp/writes')).toEqual([writes]);
    expect((await shell.run('ping -c 1 -W 1 10.0.0.1')).join()).toContain('100% packet loss');

    // Its successor has another number; what the guest is to have of it is plugged in anew.
    await ask('create', driver);
    await host.expect(/driver\| This is a driver domain/, BOOT);
    await ask('block-detach', 'front', 'xvdb');
    await shell.until('grep xvdb /proc/partitions || echo gone', /^gone/);
    await ask('block-attach', 'front', 'backend=driver,vdev=xvdb,target=/dev/xvdb');
    await shell.until('cat /proc/partitions', /4096 xvdb/);
    expect(await shell.run('sha256sum < /dev/xvdb')).toEqual([shaOf(idle)]);
    await ask('network-detach', 'front', '0');
    await shell.until('ls /sys/class/net', /^lo$/);
    await ask('network-attach', 'front', 'backend=driver');
    await network();

    // The driver domain lets go of a guest that is gone: no page of it stays mapped.
    await ask('destroy', 'front');
    while ((await names()).length > 1) await new Promise((resolve) => setTimeout(resolve, 100));
    await ask('destroy', 'driver');
    expect((await host.end()).status).toBe(0);
  });
});
