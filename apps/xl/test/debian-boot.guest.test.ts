import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { comparable, consoleLines, differencesOf } from './debian-dmesg.js';
import { bootArguments, type Ended, pieces, reason, runToEnd } from './debian-machine.js';

const reference = (vcpus: number) =>
  readFileSync(new URL(`../fixtures/pv-domU-${vcpus}vcpu.console.txt`, import.meta.url), 'latin1');

describe.skipIf(pieces === undefined)(`Debian's kernel (${reason ?? 'found'})`, () => {
  let first: Ended;
  let second: Ended;
  let twoVcpus: Ended;

  beforeAll(async () => {
    const boot = (...options: string[]) =>
      runToEnd(bootArguments(pieces!.vmlinuz, 'loglevel=8', '--clock', 'virtual', '--stats', ...options));
    [first, second] = await Promise.all([boot(), boot()]);
    twoVcpus = await boot('--vcpus', '2');
  });

  it('boots to user space, sees Xen, and powers off with exit status 0', () => {
    expect(first.status, first.stderr).toBe(0);
    const lines = consoleLines(first.stdout);
    expect(lines).toEqual(
      expect.arrayContaining(['BOOT-OK', 'HYPERVISOR type=xen guest_type=PV', 'CLOCKSOURCE xen', 'POWEROFF']),
    );
    const troubles = /WARNING|BUG|Call Trace|Oops|invalid opcode|general protection|segfault|unchecked MSR/;
    expect(lines.filter((line) => troubles.test(line))).toEqual([]);
    expect(first.stderr).toMatch(/^instructions {2}[\d,]+\n/);
  });

  describe.each([1, 2])('with %i vCPUs', (vcpus) => {
    const ours = () => (vcpus === 1 ? first : twoVcpus).stdout;

    it('says what it says on real Xen, but for what has a reason', () => {
      expect(comparable(ours(), 'ours', vcpus)).toEqual(comparable(reference(vcpus), 'reference', vcpus));
    });

    it('every accepted difference is one', () => {
      const [here, there] = [consoleLines(ours()), consoleLines(reference(vcpus))];
      const stale = differencesOf(vcpus).filter(({ pattern, kind }) => {
        const [ours, theirs] = [here, there].map((lines) => lines.some((line) => pattern.test(line)));
        return kind === 'ours' ? !ours || theirs : kind === 'reference' ? ours || !theirs : !ours || !theirs;
      });
      expect(stale).toEqual([]);
    });
  });

  it('two vCPUs both work, and --stats tells how much', () => {
    expect(twoVcpus.status).toBe(0);
    expect(twoVcpus.stderr).toMatch(/^by vCPU +[\d,]+\n +[\d,]{10,} {2}vCPU 0\n +[\d,]{10,} {2}vCPU 1\n/m);
  });

  it('does the same every time under the virtual clock: console and count of instructions', () => {
    const instructions = ({ stderr }: Ended) => stderr.match(/^instructions .*$/m)?.[0];
    expect(second.stdout).toBe(first.stdout);
    expect(instructions(second)).toBe(instructions(first));
    expect(instructions(first)).toBeDefined();
  });
});
