import { afterEach, describe, expect, it } from 'vitest';
import { Machine, pieces, reason } from './debian-machine.js';

/** The shell asks for the cursor's place after it; nobody answers. */
const PROMPT = /\(initramfs\) (.\[6n)?/;
/** For loaded machines: a boot takes some 20 s, an answer a fraction of a second. */
const BOOT = 400;

describe.skipIf(pieces === undefined)(`Debian's own initramfs (${reason ?? 'found'})`, () => {
  let machine: Machine | undefined;
  afterEach(() => machine?.kill());

  it('comes to its shell, as there is no root device, and answers there', async () => {
    machine = new Machine([
      ...['run', pieces!.vmlinuz, '--ramdisk', pieces!.debianInitrd],
      ...['--vcpus', '2', '--cmdline', 'console=hvc0'],
    ]);
    const { expect: see, type } = { expect: machine.expect.bind(machine), type: machine.type.bind(machine) };
    const said = (await see(PROMPT, BOOT)).replace(/^\[.*\n/gm, '');
    expect(said).toContain(
      [
        'Loading, please wait...',
        'Begin: Loading essential drivers ... done.',
        'Begin: Running /scripts/init-premount ... done.',
        'Begin: Mounting root file system ... Begin: Running /scripts/local-top ... done.',
        'Begin: Running /scripts/local-premount ... done.',
        'No root device specified. Boot arguments must include a root= parameter.',
      ].join('\n'),
    );
    type('echo $((6 * 7)) cpus $(cat /sys/devices/system/cpu/online) arch $DPKG_ARCH\n');
    expect(await see(PROMPT)).toMatch(/\n42 cpus 0-1 arch amd64\n/);
    // A command of klibc, with the loader and library that came with it.
    type('minips; mount | grep -c " on /"\n');
    expect(await see(PROMPT)).toMatch(/PID[\s\S]*\n[4-9]\n/);
    type('dmesg | grep -ciE "warning:|bug:|call trace|invalid opcode|segfault"\n');
    expect(await see(PROMPT)).toMatch(/\n0\n/);
    type('poweroff -f\n');
    expect((await machine.end()).status).toBe(0);
  });
});
