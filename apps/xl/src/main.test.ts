import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { main, spellOutTrace } from './main.js';

/** In CI it is there. */
const hasPasst = spawnSync('passt', ['--version']).error === undefined || process.env.CI === 'true';
let out = '';
let err = '';

beforeEach(() => {
  out = err = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += text;
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

describe('the command line', () => {
  it('explains itself', async () => {
    expect(await main(['--help'])).toBe(0);
    for (const word of [
      'run',
      'demo',
      'up',
      'list',
      'create',
      'console',
      'pause',
      'vcpu-set',
      'inspect',
      'disasm',
      'Examples:',
      'Exit status:',
      'Ctrl-]',
    ]) {
      expect(out).toContain(word);
    }
    out = '';
    expect(await main(['run', '--help'])).toBe(0);
    for (const option of [
      '--ramdisk <file>',
      '--memory <MiB>',
      '--vcpus <N>',
      '--maxvcpus <N>',
      '--cmdline <string>',
      '--name <name>',
      '--clock <mode>',
      '--sched <scheduler>',
      '--weight <N>',
      '--cap <percent>',
      '--timeout <seconds>',
      '--on-reboot <action>',
      '--trace[=classes]',
      '--stats',
      '--vif <interface>',
    ]) {
      expect(out).toContain(option);
    }
    out = '';
    expect(await main(['up', '--help'])).toBe(0);
    for (const text of [
      '<configs...>',
      '--console-dir <directory>',
      '--host <name>',
      'show the guest of that number',
      'first of these counts',
    ])
      expect(out).toContain(text);
    expect(err).toBe('');
  });

  it('tells its version', async () => {
    expect(await main(['--version'])).toBe(0);
    expect(out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each([
    [['rnu'], "unknown command 'rnu' (Did you mean run?)"],
    [['run', '--memroy', '3', 'k'], "unknown option '--memroy' (Did you mean --memory?)"],
    [['run'], "missing required argument 'kernel'"],
    [['run', 'a', 'b'], 'too many arguments'],
    [['run', '--memory', '0', 'k'], 'from 1 to 3900 MiB'],
    [['run', '--clock', 'slow', 'k'], 'Allowed choices are real, paced, virtual'],
    [['run', '--sched', 'fair', 'k'], 'Allowed choices are rr, credit, null'],
    [['run', '--weight', '0', 'k'], 'from 1 to 65535'],
    [['run', '--trace=everything', 'k'], 'hypercall'],
    [['run', '/no/such/kernel'], 'Cannot read the kernel /no/such/kernel: there is no such file.'],
    [['run', '/'], 'it is a directory'],
    [['run', '/dev/zero'], 'it is no file'],
    [['run', process.execPath, '--ramdisk', '/no'], 'Cannot read the ramdisk /no'],
    [
      ['demo', '--vif', 'type=stream,path=/no/such'],
      'cannot be had: /no/such cannot be reached: connect ENOENT',
    ],
    [['demo', '--clock', 'virtual', '--vif', 'type=passt'], 'nobody outside answers in time'],
    [['inspect', new URL(import.meta.url).pathname], 'kernel'],
    [['disasm'], 'Give a file, or bytes with --hex.'],
    [['disasm', '--hex', 'xyz'], 'bytes in hexadecimal'],
    [['disasm', process.execPath, '--hex', '90'], 'not both'],
  ])('%j: one clear line and exit status 2', async (args, message) => {
    expect(await main(args)).toBe(2);
    expect(err).toMatch(/^xenolith: [^\n]+\n$/);
    expect(err).toContain(message);
    expect(out).toBe('');
  });

  it.skipIf(!hasPasst)('tells what passt says (apt install passt)', async () => {
    expect(await main(['demo', '--vif', 'type=passt,ip=1.2.3.400/8,gateway=1.2.3.4'])).toBe(2);
    expect(err).toBe(
      'xenolith: The network interface cannot be had: passt does not start: Invalid address: 1.2.3.400.\n',
    );
  });

  it('tells what to install where passt is missing', async () => {
    vi.stubEnv('PATH', '/nowhere');
    expect(await main(['demo', '--vif', 'type=passt'])).toBe(2);
    expect(err).toContain('passt is not installed (Debian: apt install passt)');
  });

  it('shows its commands when it is given none', async () => {
    expect(await main([])).toBe(2);
    expect(err).toContain('Usage: xenolith');
  });
});

it('lists every hypercall, in words and as JSON', async () => {
  expect(await main(['features'])).toBe(0);
  expect(out).toMatch(/^sched_op 29 +SCHEDOP_block 1 +implemented$/m);
  expect(out).toMatch(/^tmem_op 38 +ENOSYS +not in this Xen$/m);
  out = '';
  expect(await main(['features', '--json'])).toBe(0);
  expect(JSON.parse(out)).toContainEqual({
    hypercall: 'xen_version',
    number: 17,
    operation: 'XENVER_build_id',
    operationNumber: 10,
    answer: 'EPERM',
    refusedTo: 'domU',
    preemptible: false,
  });
});

it('takes --trace alone for all classes', () => {
  expect(spellOutTrace(['run', '--trace', 'kernel', '--', '--trace'])).toEqual([
    'run',
    '--trace=all',
    'kernel',
    '--',
    '--trace',
  ]);
});
