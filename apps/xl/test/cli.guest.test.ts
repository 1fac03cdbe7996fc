import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kernels, xenolith, xenolithOnTerminal } from './xenolith.js';

const { bench, demo, fault, hello } = kernels;
const small = ['--memory', '16'];

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'xenolith-cli-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe('exit status', () => {
  it('0: the guest powered off', async () => {
    const { status, stderr, stdout } = await xenolith(['run', hello, ...small]);
    expect({ status, stderr, stdout }).toEqual({
      status: 0,
      stderr: '',
      stdout: 'Hello from a Xen guest.\r\n',
    });
  });

  it('2: the input cannot be used', async () => {
    const notes = join(directory, 'notes');
    const broken = join(directory, 'broken.elf');
    writeFileSync(notes, 'no kernel at all');
    writeFileSync(broken, Buffer.from('7f454c4602010100', 'hex'));
    for (const args of [
      ['run', notes, ...small],
      ['run', broken, ...small],
      ['run', process.execPath, ...small],
      ['run', hello, '--memory', '1'],
      ['run', hello, ...small, '--ramdisk', process.execPath],
      ['run', hello, ...small, '--cmdline', 'x'.repeat(3000)],
      ['run', hello, ...small, '--cap', '101'],
    ]) {
      const { status, stderr, stdout } = await xenolith(args);
      expect(stderr, args.join(' ')).toMatch(/^xenolith: [^\n]+\n$/);
      expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    }
  });

  it('3: the guest crashed, and how', async () => {
    const { status, stderr, stdout } = await xenolith(['run', fault, ...small, '--cmdline', 'crash']);
    expect(status).toBe(3);
    expect(stdout).toContain('fault: crash');
    for (const part of [
      'the guest crashed: no handler for #UD',
      '0f 0b  ud2',
      'rflags',
      'hypercall  at',
      '#UD',
    ]) {
      expect(stderr).toContain(part);
    }
  });

  it.each(['panic', 'stack', 'recurse'])('3: %s', async (cmdline) => {
    const { status, stderr } = await xenolith(['run', fault, ...small, '--cmdline', cmdline]);
    expect(status).toBe(3);
    expect(stderr).toContain('Last hypercalls and traps');
  });

  it('0: wild pointers are refused, and the guest goes on', async () => {
    const { status } = await xenolith(['run', fault, ...small, '--cmdline', 'wild']);
    expect(status).toBe(0);
  });

  it('4: the time was over', async () => {
    const start = performance.now();
    const spin = await xenolith(['run', fault, ...small, '--cmdline', 'spin', '--timeout', '0.5']);
    expect(spin.status).toBe(4);
    expect(spin.stderr).toContain('still running after 0.5 s');
    const idle = await xenolith(['run', demo, ...small, '--timeout', '0.5']);
    expect(idle.status).toBe(4);
    expect(performance.now() - start).toBeLessThan(60_000);
  });

  it('5: the guest rebooted, where it must not', async () => {
    const args = ['run', demo, ...small, '--on-reboot', 'destroy'];
    expect(await xenolith(args, { input: 'reboot\n' })).toMatchObject({ status: 5 });
  });
});

describe('standard input', () => {
  it('may be a pipe: it is the console, and its end means nothing', async () => {
    const { status, stdout } = await xenolith(['run', demo, ...small], {
      input: 'sleep 1\nuptime\npoweroff\n',
    });
    expect(status).toBe(0);
    expect(stdout).toMatch(/demo> uptime\r\nuptime {5}\d+\.\d+ s/);
  });

  it('may stay open when the guest has gone', async () => {
    expect(await xenolith(['run', hello, ...small], { input: 'open' })).toMatchObject({ status: 0 });
  });

  it('waits for a guest that does not read', async () => {
    const input = `${'help\n'.repeat(15_000)}poweroff\n`;
    const { status, stdout } = await xenolith(['run', demo, ...small, '--clock', 'virtual'], { input });
    expect(status).toBe(0);
    expect(stdout.match(/demo> help/g)).toHaveLength(15_000);
  });

  it('is not needed by the demo', async () => {
    const { status, stdout } = await xenolith(['demo', '--clock', 'virtual']);
    expect(status).toBe(0);
    expect(stdout).toContain('demo> poweroff');
  });
});

describe('a terminal', () => {
  it('is raw for the guest and as before afterwards', async () => {
    const { status, stdout } = await xenolithOnTerminal(['demo'], {
      dialogue: [
        ['demo> ', 'upt\x7f\x7f\x7fhel\x03'],
        ['^C', '\rpoweroff\r'],
      ],
    });
    expect(status).toBe(0);
    expect(stdout).toContain('TERMINAL AS BEFORE');
  });

  it('is left with Ctrl-]', async () => {
    const { status, stdout } = await xenolithOnTerminal(['demo'], { dialogue: [['demo> ', '\x1d']] });
    expect(status).toBe(130);
    expect(stdout).toContain('you left');
    expect(stdout).toContain('TERMINAL AS BEFORE');
  });

  it('is given back after a crash', async () => {
    const { status, stdout } = await xenolithOnTerminal(['demo'], { dialogue: [['demo> ', 'crash\r']] });
    expect(status).toBe(3);
    expect(stdout).toContain('TERMINAL AS BEFORE');
  });
});

describe('what it tells', () => {
  it('--stats: instructions, speed, exits and hypercalls', async () => {
    const { stderr } = await xenolith(['run', hello, ...small, '--stats']);
    for (const part of [
      /instructions {2}\d+/,
      /MIPS/,
      /time .* s in the guest/,
      /\d {2}syscall/,
      /\d {2}sched_op/,
    ]) {
      expect(stderr).toMatch(part);
    }
  });

  it('--trace: one line for everything that happens, of the classes wanted', async () => {
    const { stderr } = await xenolith(
      ['run', demo, ...small, '--clock', 'virtual', '--trace=hypercall,xenstore'],
      {
        input: 'poweroff\n',
      },
    );
    const lines = stderr.trimEnd().split('\n');
    for (const line of lines) expect(line).toMatch(/^\[ *\d+\.\d{9}\] d\dv\d (hypercall|xenstore) +\S/);
    expect(stderr).toContain('xenstore  > READ name');
    expect(stderr).toContain('sched_op(cmd=SCHEDOP_shutdown');
  });

  it('the same, to the byte, in every run with the virtual clock', async () => {
    const once = () => xenolith(['demo', '--clock', 'virtual', '--trace']);
    const [one, two] = [await once(), await once()];
    expect(two).toEqual(one);
    expect(one.stderr.length).toBeGreaterThan(10_000);
  });

  it('--sched credit --cap: a guest that computes takes that much longer', async () => {
    const run = async (...options: string[]) => {
      const { stdout } = await xenolith(['run', bench, ...small, '--clock', 'virtual', ...options]);
      const times = [...stdout.matchAll(/^BENCH-END \w+ \w+ (\d+)/gm)].map(([, ns]) => Number(ns));
      expect(times).toHaveLength(3);
      return times.reduce((sum, ns) => sum + ns, 0);
    };
    const [free, capped] = [await run(), await run('--sched', 'credit', '--weight', '512', '--cap', '25')];
    expect(Math.abs(capped / free - 4)).toBeLessThan(0.4);
  });

  it('inspect: what a kernel is', async () => {
    const { status, stdout } = await xenolith(['inspect', demo]);
    expect(status).toBe(0);
    expect(stdout).toContain('XEN_VERSION');
    const json = await xenolith(['inspect', '--json', demo]);
    expect(JSON.parse(json.stdout)).toMatchObject({ file: { container: 'ELF' } });
  });

  it('disasm: a kernel from its entry point, or bytes', async () => {
    expect((await xenolith(['disasm', demo, '-n', '1'])).stdout).toMatch(/^ffffffff8\d+: {2}fc +cld\n$/);
    expect((await xenolith(['disasm', '--hex', '0f 05'])).stdout).toContain('syscall');
    expect((await xenolith(['disasm', demo, '--offset', '0', '-n', '1'])).stdout).toContain('7f 45');
    expect((await xenolith(['disasm', demo, '--address', '0x123456789'])).status).toBe(2);
  });
});

it('keeps unpacked kernels in the cache directory', async () => {
  const packed = join(directory, 'hello.gz');
  writeFileSync(packed, gzipSync(readFileSync(hello)));
  const env = { XDG_CACHE_HOME: join(directory, 'cache') };
  for (let i = 0; i < 2; i++) {
    expect(await xenolith(['run', packed, ...small], { env })).toMatchObject({ status: 0 });
    expect(readdirSync(join(directory, 'cache/xenolith/kernels'))).toHaveLength(1);
  }
});
