import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { Machine, pieces } from './debian-machine.js';
import { copyOfRoot, reason as noRoot, shaInside, shaOf } from './debian-root.js';
import { BOOT, Shell } from './guest-shell.js';

const directory = mkdtempSync(join(tmpdir(), 'debian-qcow2-'));
afterAll(() => rmSync(directory, { recursive: true }));
const qemuImg = (...args: string[]): string =>
  execFileSync('qemu-img', args, { encoding: 'utf8', stdio: 'pipe' });

let reason = noRoot;
try {
  qemuImg('--version');
} catch (error) {
  if (process.env.CI === 'true') throw error;
  reason ??= 'qemu-img is not here (Debian: apt install qemu-utils)';
}

describe.skipIf(reason !== undefined)(`Debian on a qcow2 image (${reason ?? 'found'})`, () => {
  let machine: Machine | undefined;
  afterEach(() => machine?.kill());

  it('boots from it and writes, and the image stays as it is', async () => {
    const raw = copyOfRoot(directory);
    const base = join(directory, 'base.qcow2');
    const image = join(directory, 'root.qcow2');
    qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', 'compression_type=zstd', raw, base);
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', image, '1G');
    const before = [shaOf(base), shaOf(image)];
    machine = new Machine([
      ...['run', pieces!.vmlinuz, '--ramdisk', pieces!.rootInitrd, '--memory', '256'],
      ...['--vcpus', '2', '--disk', `${image},qcow2,xvda,rw`],
      ...['--cmdline', 'console=hvc0 root=/dev/xvda rw init=/bin/sh xen_blkfront.max_ring_page_order=2'],
    ]);
    const boot = await machine.expect(/\n# $/, BOOT);
    expect(boot).toMatch(
      /xvda: flush diskcache: enabled; persistent grants: enabled; indirect descriptors: enabled/,
    );
    expect(machine.stderr).toContain(`xvda: nothing is written to ${image}`);
    const shell = new Shell(machine);
    await shell.quieten();
    expect((await shell.run('cat /proc/partitions')).join()).toMatch(/1048576 xvda/);
    // A queue for each processor, of four pages each.
    expect(await shell.run('ls /sys/block/xvda/mq')).toEqual(['0  1']);
    expect(await shell.run('cat /sys/module/xen_blkfront/parameters/max_ring_page_order')).toEqual(['2']);
    const sum = `${shaInside(raw, '/usr/bin/bash')}  -`;
    expect(await shell.run('sha256sum < /usr/bin/bash')).toEqual([sum]);
    await shell.run('cp /usr/bin/bash /copy; sync; echo 3 > /proc/sys/vm/drop_caches');
    expect(await shell.run('sha256sum < /copy; sha256sum < /usr/bin/bash')).toEqual([sum, sum]);
    // What is above the image can be freed again.
    expect(await shell.run('rm /copy; sync; /sbin/fstrim /; echo $?')).toEqual(['0']);
    machine.kill();
    expect([shaOf(base), shaOf(image)]).toEqual(before);
  });
});
