import { BadInputError } from '@xenolith/host-interface';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IGNORED, REFUSED } from './keys.js';
import { parseXlConfig } from './xl-config.js';

const read = (text: string) => parseXlConfig(`name = "n"\nkernel = "k"\n${text}`, 'x.cfg');
const problems = (text: string): string[] => {
  try {
    read(text);
  } catch (error) {
    if (error instanceof BadInputError) return error.message.split('\n');
    throw error;
  }
  return [];
};

describe('an xl.cfg', () => {
  it('has the defaults of xl', () => {
    expect(read('')).toEqual({
      name: 'n',
      disks: [],
      vifs: [],
      kernel: 'k',
      memoryMiB: 32,
      maxMemoryMiB: 32,
      vcpus: 1,
      maxVcpus: 1,
      onPoweroff: 'destroy',
      onReboot: 'restart',
      onCrash: 'destroy',
      onWatchdog: 'destroy',
      onSoftReset: 'destroy',
      warnings: [],
    });
  });

  it('may say all that is understood', () => {
    expect(
      read(`type = "pv"; builder = "generic"
uuid = "daf2d190-e673-11f1-9fe3-9b4e4a520ffe"
ramdisk = "initrd"
cmdline = "console=hvc0"
memory = 0x40 ; maxmem = "128"
vcpus = 2 ; maxvcpus = 4
cpu_weight = 512 ; cap = 50
on_poweroff = "preserve"
on_reboot = "rename-restart"
on_crash = "coredump-restart"
on_watchdog = "restart"
on_soft_reset = "soft-reset"
max_event_channels = 2047
max_grant_frames = 32
max_maptrack_frames = 0
max_grant_version = 1
disk = [] ; vif = [ ] ; e820_host = 0 ; bootloader = ""`),
    ).toMatchObject({
      uuid: 'daf2d190-e673-11f1-9fe3-9b4e4a520ffe',
      ramdisk: 'initrd',
      cmdline: 'console=hvc0',
      memoryMiB: 64,
      maxMemoryMiB: 128,
      vcpus: 2,
      maxVcpus: 4,
      cpuWeight: 512,
      cap: 50,
      onPoweroff: 'preserve',
      onReboot: 'rename-restart',
      onCrash: 'coredump-restart',
      onWatchdog: 'restart',
      onSoftReset: 'soft-reset',
      maxEventChannels: 2047,
      maxGrantFrames: 32,
      maxMaptrackFrames: 0,
      maxGrantVersion: 1,
      warnings: [],
    });
    expect(read('maxmem = 010').memoryMiB).toBe(8);
  });

  it.each([
    ['root = "/dev/xvda1"', 'root=/dev/xvda1', 0],
    ['extra = "quiet"', 'quiet', 0],
    ['root = "/dev/xvda1"\nextra = "quiet"', 'root=/dev/xvda1 quiet', 0],
    ['root = "a"\nextra = "b"\ncmdline = "c"', 'c', 2],
  ])('puts the command line together as xl does: %j', (text, cmdline, warnings) => {
    expect(read(text)).toMatchObject({ cmdline });
    expect(read(text).warnings).toHaveLength(warnings);
  });

  it.each([
    ['memroy = 1', 'x.cfg:3:1: there is no setting "memroy"; did you mean "memory"?'],
    ['vcpu = 1', 'x.cfg:3:1: there is no setting "vcpu"; did you mean "vcpus"?'],
    ['on_carsh = "destroy"', 'x.cfg:3:1: there is no setting "on_carsh"; did you mean "on_crash"?'],
    ['quite_another_thing = 1', 'x.cfg:3:1: there is no setting "quite_another_thing".'],
    ['type = "hvm"', 'x.cfg:3:8: "type": "hvm" guests are not there: only "pv" is.'],
    ['builder = "hvm"', 'x.cfg:3:11: "builder": "hvm" guests are not there: only "generic", a PV guest, is.'],
    ['disk = [ "a.img,raw" ]', 'x.cfg:3:8: "disk": The disk "a.img,raw" cannot be had: it has no vdev'],
    [
      'vif = [ "brigde=a" ]',
      'x.cfg:3:7: "vif": The network interface "brigde=a" cannot be had: there is no "brigde", did you mean "bridge"?.',
    ],
    ['  e820_host = 1', 'x.cfg:3:3: "e820_host" cannot be had: there is no memory map of a host to show.'],
    ['memory = "much"', 'x.cfg:3:10: "memory": it should be a number, at least 1, not "much".'],
    ['memory = 0', 'x.cfg:3:10: "memory": it should be a number, at least 1, not "0".'],
    ['memory = [ 1 ]', 'x.cfg:3:10: "memory": it should be a string, not a list.'],
    ['memory = 9\nmaxmem = 8', 'x.cfg:4:10: "maxmem": it is less than "memory", which is 9.'],
    ['vcpus = 129', 'x.cfg:3:9: "vcpus": it should be a number from 1 to 128, not "129".'],
    ['vcpus = 2\nmaxvcpus = 1', 'x.cfg:4:12: "maxvcpus": it is less than "vcpus", which is 2.'],
    ['cap = 101', 'x.cfg:3:7: "cap": it should be a number from 0 to 100, not "101".'],
    ['on_crash = "explode"', 'x.cfg:3:12: "on_crash": it should be one of destroy, restart, rename-restart'],
    ['name = ""', 'x.cfg:3:8: "name": it is empty, but every domain has one.'],
  ])('refuses %j', (text, message) => {
    expect(problems(text)).toHaveLength(1);
    expect(problems(text)[0]).toContain(message);
  });

  it('tells all problems at once, but no endless list', () => {
    expect(problems('a1 = 1\nvcpus = 0\nb1 = 1')).toHaveLength(3);
    const many = Array.from({ length: 50_000 }, (_, i) => `q${i} = 1`).join('\n');
    expect(problems(many)).toHaveLength(21);
    expect(problems(many).at(-1)).toBe('x.cfg:23:1: and so on.');
    expect(() => parseXlConfig('memory = 1', 'x.cfg')).toThrow(
      'x.cfg: there is no "name", but every domain has one.\nx.cfg: there is no "kernel"',
    );
  });

  it('warns of what makes no difference', () => {
    expect(read('cpus = "1-3"\nvnc = 1').warnings).toEqual([
      'x.cfg:3:1: "cpus" is ignored: there is one physical processor.',
      'x.cfg:4:1: "vnc" is ignored: it is for HVM guests.',
    ]);
  });

  it('keeps every setting in one table only', () => {
    for (const key of REFUSED.keys()) expect(IGNORED.has(key), key).toBe(false);
    const used =
      'type builder name uuid kernel ramdisk cmdline root extra memory maxmem vcpus maxvcpus'.split(' ');
    for (const key of used) expect(REFUSED.has(key) || IGNORED.has(key), key).toBe(false);
  });

  it('property: a number means what C’s strtol makes of it', () => {
    const written = fc.oneof(
      fc.nat(100_000).map((n) => [String(n + 1), n + 1] as const),
      fc.nat(100_000).map((n) => [`0x${(n + 1).toString(16)}`, n + 1] as const),
      fc.nat(100_000).map((n) => [`0${(n + 1).toString(8)}`, n + 1] as const),
    );
    fc.assert(
      fc.property(written, fc.boolean(), ([text, number], quoted) => {
        expect(read(`memory = ${quoted ? `"${text}"` : text}`).memoryMiB).toBe(number);
      }),
    );
  });
});
