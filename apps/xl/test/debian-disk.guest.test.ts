import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { type Ended, Machine, pieces, runToEnd } from './debian-machine.js';
import { copy, copyOfRoot, fsck, reason, shaInside, shaOf } from './debian-root.js';
import { BOOT, Shell } from './guest-shell.js';
import { xenolith } from './xenolith.js';

/** Size of the file that is written and read back. */
const MEBIBYTES = Number(process.env.XENOLITH_DISK_MIB ?? 256);
/** And of one that is removed. */
const JUNK = Math.min(MEBIBYTES, 64);

const directory = mkdtempSync(join(tmpdir(), 'debian-disk-'));
afterAll(() => rmSync(directory, { recursive: true }));
const env = { XDG_RUNTIME_DIR: directory };

/** A file of random bytes. @returns its path */
function random(name: string, bytes: number): string {
  const path = join(directory, name);
  writeFileSync(path, randomBytes(bytes));
  return path;
}

/** Bytes that a file takes on this machine. */
const taken = (path: string): number => statSync(path).blocks * 512;

/** Arguments that boot from an image. */
const boot = (image: string, cmdline: string, ...more: string[]): string[] => [
  ...['run', pieces!.vmlinuz, '--ramdisk', pieces!.rootInitrd, '--memory', '256'],
  ...['--disk', `${image},raw,xvda,rw`, '--cmdline', `console=hvc0 root=/dev/xvda ${cmdline}`, ...more],
];

describe.skipIf(reason !== undefined)(`Debian on a disk (${reason ?? 'found'})`, () => {
  let machine: Machine | undefined;
  afterEach(() => machine?.kill());

  it('boots to a login; files, disks that come and go, media, sizes, discards; is clean after shutdown', async () => {
    const image = copyOfRoot(directory);
    const source = random('random.img', MEBIBYTES << 20);
    const one = random('one.iso', 2048);
    const two = random('two.iso', 6144);
    const config = join(directory, 'root.cfg');
    writeFileSync(
      config,
      `name = "root"\nkernel = "${pieces!.vmlinuz}"\nramdisk = "${pieces!.rootInitrd}"\nmemory = 256
cmdline = "console=hvc0 root=/dev/xvda"\ndisk = ["${image},raw,xvda,rw", "${one},raw,xvdd,cdrom", "${source},raw,xvde,ro"]\n`,
    );
    machine = new Machine(['up', config], { terminal: true, env });
    const ask = async (...args: string[]): Promise<void> => {
      expect(await xenolith(args, { env })).toMatchObject({ status: 0, stderr: '' });
    };
    const shell = await Shell.login(machine);
    const run = (command: string) => shell.run(command, 400);

    // A random file, read back from the disk.
    await run('dd if=/dev/xvde of=/data bs=1M conv=fsync');
    await run('echo 3 > /proc/sys/vm/drop_caches');
    expect(await run('sha256sum < /data')).toEqual([`${shaOf(source)}  -`]);

    // Another disk, plugged in by another process.
    const second = random('second.img', 8 << 20);
    await ask('block-attach', 'root', `${second},raw,xvdb,rw`);
    await shell.until('cat /proc/partitions', /8192 xvdb/);
    expect(await run('sha256sum < /dev/xvdb')).toEqual([`${shaOf(second)}  -`]);
    await run('dd if=/data of=/dev/xvdb bs=1M count=8 conv=fsync');
    expect(await run('sha256sum < /dev/xvdb')).toEqual([`${shaOf(second)}  -`]);
    truncateSync(second, 12 << 20);
    await ask('block-resize', 'root', 'xvdb');
    await shell.until('cat /proc/partitions', /12288 xvdb/);
    await run('blkdiscard /dev/xvdb; sync');
    expect(taken(second)).toBeLessThan(64 << 10);

    await ask('block-attach', 'root', `${one},raw,xvdc,ro`);
    await shell.until('cat /proc/partitions', /2 xvdc/);
    expect((await run('dd if=/dev/zero of=/dev/xvdc count=1')).join()).toMatch(/xvdc.*not permitted/);

    await ask('block-detach', 'root', 'xvdb');
    await shell.until('grep xvdb /proc/partitions || echo gone', /^gone/);

    // Media of a drive.
    const medium = 'dd if=/dev/xvdd bs=2048 iflag=direct 2>/dev/null | sha256sum';
    expect(await run(medium)).toEqual([`${shaOf(one)}  -`]);
    await ask('cd-eject', 'root', 'xvdd');
    await shell.until('cat /sys/block/xvdd/size', /^0$/);
    await ask('cd-insert', 'root', 'xvdd', two);
    await shell.until('cat /sys/block/xvdd/size', /^12$/);
    expect(await run(medium)).toEqual([`${shaOf(two)}  -`]);

    // What is discarded takes no room any more. The journal has to be written first: before, the blocks are still in use.
    await run(`dd if=/data of=/junk bs=1M count=${JUNK} conv=fsync`);
    const full = taken(image);
    await run('rm /junk; sync; fstrim /');
    expect(full - taken(image)).toBeGreaterThan(JUNK * 0.9 * 2 ** 20);

    machine.type('poweroff\r');
    expect((await machine.end()).status).toBe(0);
    expect(fsck(image, '-fn').status).toBe(0);
    expect(shaInside(image, '/data')).toBe(shaOf(source));
  });

  it('killed in the middle of writes: what was fsynced is there, and the journal recovers', async () => {
    const image = copyOfRoot(directory);
    machine = new Machine(boot(image, 'rw init=/bin/sh'));
    await machine.expect(/\n# $/, BOOT);
    // One stream of writes that nobody waits for, and files that are synced one by one.
    machine.type('while :; do dd if=/dev/zero of=/junk bs=1M count=64 2>&-; done & ');
    machine.type(
      'n=0; while :; do n=$((n+1)); dd if=/dev/urandom of=/file$n bs=64k count=3 conv=fsync 2>&-; ' +
        'echo synced $n $(sha256sum < /file$n); done\r',
    );
    await machine.expect(/synced 12 \S+/, 120);
    machine.kill();
    const { stdout } = await machine.end();
    const synced = [...stdout.matchAll(/synced (\d+) ([0-9a-f]{64})/g)].map(
      ([, n, sha]) => [n!, sha!] as const,
    );
    expect(synced.length).toBeGreaterThanOrEqual(12);

    const mended = copy(image, join(directory, 'mended.img'));
    const { status, said } = fsck(mended, '-fy');
    expect(said).toContain('recovering journal');
    expect(status).toBeLessThanOrEqual(1);
    for (const [n, sha] of synced) expect([n, shaInside(mended, `/file${n}`)]).toEqual([n, sha]);

    machine = new Machine(boot(image, 'rw init=/bin/sh'));
    expect(await machine.expect(/\n# $/, BOOT)).toContain('EXT4-fs (xvda): recovery complete');
    const shell = new Shell(machine);
    await shell.quieten();
    const sums = await shell.run(
      `for n in ${synced.map(([n]) => n).join(' ')}; do sha256sum < /file$n; done`,
    );
    expect(sums).toEqual(synced.map(([, sha]) => `${sha}  -`));
    machine.kill();
  });

  it('a boot and shutdown under a virtual clock repeats exactly', async () => {
    const runs: (Ended & { disk: string })[] = [];
    for (let i = 0; i < 2; i++) {
      const image = copyOfRoot(directory);
      const ended = await runToEnd(boot(image, '-- 0', '--clock', 'virtual', '--stats'));
      runs.push({ ...ended, disk: shaOf(image) });
    }
    expect(runs[0]!.status).toBe(0);
    expect(runs[0]!.stdout).toMatch(/Entering runlevel: 0[\s\S]*System halted/);
    const work = ({ stdout, stderr, disk }: (typeof runs)[number]) => [
      stdout,
      /instructions +\S+/.exec(stderr)![0],
      disk,
    ];
    expect(work(runs[1]!)).toEqual(work(runs[0]!));
  });
});
