import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { bootArguments, Machine, pieces, reason } from './debian-machine.js';

/** The shell asks for the cursor's place after it; nobody answers. */
const PROMPT = /(^|\n)\/ # (.\[6n)?/;
/** Waits in these tests are for loaded machines: a boot takes some 20 s, an answer a fraction of a second. */
const BOOT = 400;

/** Seconds of processor time that a process has used so far (proc(5): user and system time in ticks of 1/100 s). */
function processorTime(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const sleep = (seconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, seconds * 1000));

describe.skipIf(pieces === undefined)(`A shell in Debian's kernel (${reason ?? 'found'})`, () => {
  let machine: Machine | undefined;
  afterEach(() => machine?.kill());

  it('on a terminal: typing, Ctrl-C, job control, top, poweroff', async () => {
    machine = new Machine(bootArguments(pieces!.vmlinuz, 'shell=1 quiet'), { terminal: true });
    const { type, expect: see } = bound(machine);
    await see(/BOOT-OK/, BOOT);
    await see(PROMPT);

    type('cat /sys/hypervisor/type; echo $((6 * 7))\r');
    expect(await see(PROMPT)).toMatch(/\nxen\n42\n/);
    // The terminal driver of the guest: DEL takes back a letter, Ctrl-U the line; the shell's history brings it back.
    type('echo onx\x7fe; : two\r');
    expect(await see(PROMPT)).toMatch(/\none\n/);
    type('nonsense\x15echo clean\r');
    expect(await see(PROMPT)).toMatch(/\nclean\n/);

    type('sleep 1000\r');
    await see(/sleep 1000\n/);
    await sleep(1);
    type('\x03');
    await see(/\^C/);
    await see(PROMPT);
    type('echo status $?\r');
    expect(await see(PROMPT)).toMatch(/\nstatus 130\n/);

    // Linux does not stop children of process 1 by SIGTSTP (they count as orphaned), so the jobs are another shell's.
    type('sh\r');
    await see(PROMPT);
    type('sleep 999 &\r');
    await see(PROMPT);
    type('jobs\r');
    expect(await see(PROMPT)).toMatch(/\[1\]\+\s+Running\s+sleep 999/);
    type('fg\r');
    await see(/fg\nsleep 999/);
    await sleep(1);
    type('\x1a');
    expect(await see(PROMPT)).toMatch(/Stopped\s+sleep 999/);
    type('bg\r');
    await see(PROMPT);
    type('kill %1; wait; jobs; echo none\r');
    const left = await see(/\nnone\n/);
    expect(left).toMatch(/Terminated\s+sleep 999/);
    expect(left).not.toMatch(/Running|Stopped/);
    await see(PROMPT);

    type('top -d 1\r');
    await see(/Load average: [\s\S]*COMMAND/);
    await see(/Load average: [\s\S]*COMMAND/);
    type('q');
    await see(PROMPT);

    type('dmesg | grep -ciE "warning|bug:|call trace|invalid opcode|segfault"\r');
    expect(await see(PROMPT)).toMatch(/\n0\n/);
    type('poweroff -f\r');
    expect((await machine.end()).status).toBe(0);
  });

  it('through pipes: idle it takes no processor time; a crash is reported with exit status 3', async () => {
    machine = new Machine(bootArguments(pieces!.vmlinuz, 'shell=1'));
    const { type, expect: see } = bound(machine);
    await see(/BOOT-OK/, BOOT);
    await see(PROMPT);
    // What the kernel had put off.
    await sleep(2);
    const before = processorTime(machine.pid);
    await sleep(5);
    // Some 0.05 s as measured; a guest that spins takes 5.
    expect(processorTime(machine.pid) - before).toBeLessThan(2.5);

    type('echo c > /proc/sysrq-trigger\r');
    const { status, stdout, stderr } = await machine.end();
    expect(status).toBe(3);
    expect(stdout).toMatch(/Kernel panic - not syncing: sysrq triggered crash/);
    expect(stderr).toMatch(/^xenolith: the guest crashed: .+\n {2}vCPU 0 in kernel mode\n/);
    expect(stderr).toMatch(/ {2}rip ffffffff[0-9a-f]{8} {2}([0-9a-f]{2} )+ [a-z]+/);
    for (const name of ['rax', 'rsp', 'r15', 'rflags', 'cr2', 'fs base', 'cr3 mfn', 'cs', 'ss']) {
      expect(stderr).toMatch(new RegExp(`\\b${name} +[0-9a-f]{4}`));
    }
    expect(stderr).toMatch(/ {2}Stack:\n( {4}([0-9a-f]{16} ?){1,4}\n)+/);
    expect(stderr).toMatch(/Last hypercalls and traps[\s\S]*sched_op\(SCHEDOP_shutdown…\)\n$/);
  });
});

const bound = (machine: Machine) => ({
  type: (text: string) => machine.type(text),
  expect: (pattern: RegExp, seconds?: number) => machine.expect(pattern, seconds),
});
