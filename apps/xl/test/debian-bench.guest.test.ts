import { describe, expect, it } from 'vitest';
import { consoleLines } from './debian-dmesg.js';
import { bootArguments, pieces, reason, runToEnd } from './debian-machine.js';

const PARTS = ['shloop300k', 'sha256_64M', 'urandom8M', 'gzip9_8M', 'fork500', 'nullsys_64k'];

describe.skipIf(pieces === undefined)(`The yardstick in Debian's kernel (${reason ?? 'found'})`, () => {
  it('runs to its end and powers off', { timeout: 1_200_000 }, async () => {
    const { status, stdout, stderr } = await runToEnd(
      bootArguments(pieces!.vmlinuz, 'bench=1', '--clock', 'virtual'),
    );
    expect(status, stderr).toBe(0);
    const lines = consoleLines(stdout);
    const marks = lines
      .filter((line) => line.startsWith('BENCH-'))
      .map((line) => line.replace(/ [\d.]+$/, ''));
    expect(marks).toEqual([
      ...PARTS.flatMap((part) => [`BENCH-START ${part}`, `BENCH-END ${part}`]),
      'BENCH-DONE',
    ]);
    // sha256 of 64 MiB of zeros.
    expect(stdout).toContain('3b6a07d0d404fab4e23b6d34bc6696a6a312dd92821332385e5af7c01c421351  -');
    expect(
      lines.filter((line) => /invalid opcode|Call Trace|segfault|Illegal instruction/.test(line)),
    ).toEqual([]);
  });
});
