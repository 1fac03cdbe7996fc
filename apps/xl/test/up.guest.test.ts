import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli, pieces, reason } from './debian-machine.js';
import { kernels, type Outcome, xenolith, xenolithOnTerminal } from './xenolith.js';

let directory: string;
let env: Record<string, string>;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'xl-up-'));
  env = { XDG_RUNTIME_DIR: directory };
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Waits until a host has its socket. */
async function socketOf(host: string, ended: Promise<unknown>): Promise<void> {
  let isOver = false;
  void ended.finally(() => {
    isOver = true;
  });
  while (!isOver && !existsSync(join(directory, `xenolith/${host}.sock`)))
    await new Promise((done) => setTimeout(done, 50));
}

/** Writes a configuration. @returns its path */
function guest(name: string, kernel: string, more = ''): string {
  const path = join(directory, `${name}.cfg`);
  writeFileSync(path, `name = "${name}"\nkernel = "${kernel}"\nmemory = 8\n${more}\n`);
  return path;
}

const hello = (name: string) => guest(name, kernels.hello);
const fault = (name: string, cmdline: string, more = '') =>
  guest(name, kernels.fault, `cmdline = "${cmdline}"\n${more}`);

/** Times of the packets of a pcapng file, in nanoseconds since 1970. */
function timesOf(file: string): bigint[] {
  const bytes = readFileSync(file);
  const times: bigint[] = [];
  for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at + 4)) {
    if (bytes.readUInt32LE(at) === 6)
      times.push((BigInt(bytes.readUInt32LE(at + 12)) << 32n) | BigInt(bytes.readUInt32LE(at + 16)));
  }
  return times;
}

describe('up, without a terminal', () => {
  it('has two guests ping each other, and a capture of both interfaces in one file', async () => {
    const began = BigInt(Date.now()) * 1_000_000n;
    const file = join(directory, 'lan.pcapng');
    const vif = `vif = ["capture=${file}"]`;
    const one = guest('one', kernels.net, `cmdline = "ip=10.0.0.1"\n${vif}`);
    const two = guest('two', kernels.net, `cmdline = "ip=10.0.0.2 ping=10.0.0.1 quit"\n${vif}`);
    const { stdout, status } = await xenolith(['up', one, two], { env });
    expect(stdout).toContain('two| pong: 56 bytes from 10.0.0.1');
    expect(stdout).toContain('two| net: over');
    expect(status).toBe(0);
    const text = readFileSync(file, 'latin1');
    expect([text.includes('vif1.0'), text.includes('vif2.0')]).toEqual([true, true]);
    const times = timesOf(file);
    // Four pings with their answers and an address with its, at both interfaces.
    expect(times.length).toBeGreaterThanOrEqual(20);
    expect(times.every((time) => time >= began && time < began + 3_600_000_000_000n)).toBe(true);
  });

  it('prints whole lines with names, and ends with status 0 when all have powered off', async () => {
    const { status, stdout, stderr } = await xenolith(['up', hello('a'), hello('b'), hello('c')], { env });
    expect(stdout.split('\n').sort()).toEqual([
      '',
      ...['a', 'b', 'c'].map((n) => `${n}| Hello from a Xen guest.`),
    ]);
    expect(stderr.split('\n').sort()).toEqual([
      '',
      ...['a', 'b', 'c'].map((n) => `xenolith: ${n} powered off`),
    ]);
    expect(status).toBe(0);
    expect(readdirSync(join(directory, 'xenolith'))).toEqual([]);
  });

  it('ends with the worst status; one that crashes leaves the others', async () => {
    const crash = fault('bad', 'crash');
    const { status, stdout, stderr } = await xenolith(['up', crash, hello('good')], { env });
    expect(status).toBe(3);
    expect(stdout).toContain('good| Hello from a Xen guest.');
    expect(stderr).toMatch(/xenolith: bad crashed: no handler for #UD[\s\S]*\n {2}vCPU 0[\s\S]*0f 0b {2}ud2/);
    expect(stderr).toContain('xenolith: good powered off');
    const kept = fault('kept', 'crash', 'on_crash = "preserve"');
    const late = await xenolith(['up', kept, fault('spins', 'spin'), '--timeout', '1'], { env });
    expect(late.status).toBe(3);
    expect(late.stderr).toContain('kept crashed: no handler for #UD');
    expect(late.stderr).toContain('kept, spins were still running after 1 s');
  });

  it('writes consoles to files, where that is wanted', async () => {
    const consoles = join(directory, 'consoles');
    const { stdout } = await xenolith(
      ['up', hello('a'), hello('b/..'.replace('/', '-')), '--console-dir', consoles],
      {
        env,
      },
    );
    expect(stdout).toBe('');
    expect(readdirSync(consoles).sort()).toEqual(['a.console.log', 'b-...console.log']);
    expect(readFileSync(join(consoles, 'a.console.log'), 'utf8')).toBe('Hello from a Xen guest.\r\n');
  });

  it('ends with a signal, and leaves no socket', async () => {
    const args = ['up', fault('spins', 'spin'), '--host', 'killed'];
    const child = spawn(process.execPath, [cli, ...args], { env: { ...process.env, ...env } });
    const ended = new Promise((resolve) => child.on('close', resolve));
    await socketOf('killed', ended);
    child.kill('SIGTERM');
    expect(await ended).toBe(128 + 15);
    expect(readdirSync(join(directory, 'xenolith'))).toEqual([]);
  });

  it('goes on when a console file cannot be written', async () => {
    // The device takes no byte.
    symlinkSync('/dev/full', join(directory, 'full.console.log'));
    const { status, stderr } = await xenolith(['up', hello('full'), '--console-dir', directory], { env });
    expect(stderr).toContain('full.console.log is not written any more: ENOSPC');
    expect(status).toBe(0);
  });

  it.each([
    [() => ['up'], "missing required argument 'configs'"],
    [() => ['up', '/no/such.cfg'], 'Cannot read the configuration /no/such.cfg'],
    [() => ['up', hello('a'), hello('a')], 'There is a domain "a" already'],
    [() => ['up', guest('x', '/no/kernel')], 'x.cfg: Cannot read the kernel /no/kernel'],
    [
      () => ['up', guest('x', kernels.hello, 'memroy = 1')],
      'x.cfg:4:1: there is no setting "memroy"; did you mean "memory"?',
    ],
    [() => ['up', guest('x', kernels.hello, 'memory = 64'), '--memory', '4'], 'free frames'],
    [() => ['list'], 'No host is running'],
  ])('refuses what cannot be, with status 2', async (args, message) => {
    const { status, stderr, stdout } = await xenolith(args(), { env });
    expect(stderr).toContain(message);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  });
});

describe('commands to a running host', () => {
  it('list, pause, create, console, vcpu-set, destroy', async () => {
    const two = ['up', guest('web', kernels.demo, 'maxvcpus = 2'), guest('db', kernels.demo)];
    const up = xenolith([...two, '--host', 'mine'], { env });
    const ask = (...args: string[]): Promise<Outcome> => xenolith(args, { env });
    await socketOf('mine', up);
    expect((await ask('list')).stdout).toMatch(
      /^Name {40}ID {3}Mem VCPUs\tState\tTime\(s\)\nweb +1 +8 +1 .*\ndb +2 /,
    );
    expect(await ask('pause', 'db', '--host', 'mine')).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect((await ask('list')).stdout).toMatch(/db .*--p---|db .*-bp---/);
    expect((await ask('create', hello('more'))).stdout).toBe('more is domain 3\n');
    expect((await ask('vcpu-set', 'web', '2')).status).toBe(0);
    expect((await ask('vcpu-set', 'web', '3')).stderr).toContain('1 to 2 online, not 3');
    expect(JSON.parse((await ask('list', '--json')).stdout)[1]).toMatchObject({ name: 'db', paused: true });
    const { stdout } = await xenolith(['console', 'web'], { env, input: 'xenstore cpu/1\rpoweroff\r' });
    expect(stdout).toMatch(/demo> xenstore cpu\/1[\s\S]*availability = "online"[\s\S]*poweroff\r\n$/);
    expect((await ask('destroy', 'nobody')).stderr).toBe(
      'xenolith: There is no domain "nobody": there is db (2).\n',
    );
    expect((await ask('destroy', '2')).status).toBe(0);
    const { status, stderr } = await up;
    expect(status).toBe(0);
    for (const line of ['more powered off', 'web powered off', 'db was destroyed'])
      expect(stderr).toContain(`xenolith: ${line}\n`);
    expect(readdirSync(join(directory, 'xenolith'))).toEqual([]);
  });
});

describe('up, on a terminal', () => {
  it('shows one console at a time; keys change it, list, pause, destroy and leave', async () => {
    const args = ['up', guest('web', kernels.demo), guest('db', kernels.demo)];
    const { status, stdout } = await xenolithOnTerminal(args, {
      env,
      dialogue: [
        ['1 web (domain 1)', 'xenstore name\r'],
        ['name = "web"', '\x1d2'],
        ['2 db (domain 2)', 'xenstore name\r'],
        ['name = "db"', '\x1dl'],
        ['*2 db (domain 2), waiting', '\x1dz'],
        ['db (domain 2): paused', '\x1dz'],
        ['db (domain 2): waiting', '\x1dx'],
        ['no such key', '\x1d?'],
        ['leave: all guests end', '\x1dp'],
        // What was printed while it was not shown, and before.
        ['name = "web"', '\x1dk'],
        ['web was destroyed', '\x1ds'],
        ['db (domain 2) is asked to shut down', '\x1dq'],
      ],
    });
    expect(stdout).toContain('you left; all guests are gone');
    expect(stdout).toContain('TERMINAL AS BEFORE');
    expect(status).toBe(130);
  });
});

describe.skipIf(pieces === undefined)(`Debian's kernel and three small guests (${reason ?? 'found'})`, () => {
  it('run beside each other, and do the same every time under the virtual clock', async () => {
    const debian = guest(
      'debian',
      pieces!.vmlinuz,
      `ramdisk = "${pieces!.initrd}"\nmemory = 256\nroot = "/dev/ram0"\nextra = "console=hvc0 quiet"`,
    );
    const guests = [debian, hello('one'), fault('two', 'wild'), hello('three')];
    const boot = async (n: number) => {
      const consoles = join(directory, `run${n}`);
      const outcome = await xenolith(
        ['up', ...guests, '--clock', 'virtual', '--stats', '--console-dir', consoles, '--host', `run${n}`],
        { env },
      );
      const files = readdirSync(consoles).sort();
      return {
        ...outcome,
        files,
        consoles: files.map((file) => readFileSync(join(consoles, file), 'latin1')),
      };
    };
    const [first, second] = await Promise.all([boot(1), boot(2)]);
    expect(first.status, first.stderr).toBe(0);
    expect(first.files).toEqual(['debian', 'one', 'three', 'two'].map((name) => `${name}.console.log`));
    expect(first.consoles[0]).toContain('BOOT-OK');
    expect(first.consoles[0]).toContain('POWEROFF');
    expect(first.consoles[1]).toBe('Hello from a Xen guest.\r\n');
    expect(first.consoles[3]).toContain('fault: wild');
    expect(second.consoles).toEqual(first.consoles);
    const counts = ({ stderr }: Outcome) => stderr.match(/^instructions .*$/m)?.[0];
    expect(counts(first)).toBeDefined();
    expect(counts(second)).toBe(counts(first));
  });
});
