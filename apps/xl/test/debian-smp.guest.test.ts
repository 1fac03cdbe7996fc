import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createHost, loadKernel } from '@xenolith/host';
import { buildInitramfs } from '@xenolith-tooling/debian';
import { beforeAll, describe, expect, it } from 'vitest';
import { consoleLines } from './debian-dmesg.js';
import { pieces, reason } from './debian-machine.js';

const JOBS = 8;

/** What the guest's job computes. */
function sum(first: number): string {
  const numbers = Array.from({ length: 4001 }, (_, i) => first + i).reverse();
  return createHash('sha256')
    .update(`${numbers.join('\n')}\n`)
    .digest('hex');
}
const SUMS = Array.from({ length: JOBS }, (_, i) => `SUM ${i + 1} ${sum(i + 1)}`);

interface Ended {
  console: string;
  reason: string;
  instructions: readonly number[];
}

/** Boots with four of eight vCPUs online, and changes that as the guest's script asks. */
async function boot(): Promise<Ended> {
  const { vmlinuz, busybox } = pieces!;
  const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n');
  const init = readFileSync(new URL('../fixtures/smp-init.sh', import.meta.url));
  const host = await createHost({ memoryMiB: 512, clock: 'virtual' });
  let console = '';
  const guest = host.createDomain({
    kernel: loadKernel(readFileSync(vmlinuz)),
    ramdisk: buildInitramfs({ busybox: readFileSync(busybox), applets, init }),
    cmdline: 'console=hvc0 quiet',
    memoryMiB: 512,
    vcpus: 4,
    maxVcpus: 8,
    onConsole(bytes) {
      const before = console.length;
      console += Buffer.from(bytes).toString('latin1');
      const line = console.slice(console.lastIndexOf('\n', before - 1) + 1);
      const want = /^WANT (\d)\r?\n/m.exec(line);
      if (want) guest.setVcpus(Number(want[1]));
      const memory = /^MEMORY (\d+)\r?\n/m.exec(line);
      if (memory) guest.setMemory(Number(memory[1]));
    },
  });
  guest.unpause();
  await host.run();
  const { reason } = await guest.ended;
  return { console, reason, instructions: guest.vcpuInstructions };
}

describe.skipIf(pieces === undefined)(`Debian's kernel with eight vCPUs (${reason ?? 'found'})`, () => {
  let first: Ended;
  beforeAll(async () => {
    first = await boot();
  });

  it('has those vCPUs, and the memory, that the toolstack or the guest itself wants, and computes right', () => {
    expect(consoleLines(first.console).filter((line) => line !== '')).toEqual([
      'POSSIBLE 0-7 PRESENT 0-3 ONLINE 0-3',
      ...SUMS,
      'WANT 8',
      'ONLINE 0-7',
      ...SUMS,
      'STOLEN',
      'WANT 2',
      'ONLINE 0-1',
      'ONLINE 0',
      'ONLINE 0-1',
      'MEMORY 300',
      'HAS 307200',
      ...SUMS,
      'MEMORY 512',
      'HAS 524288',
      'reboot: System halted',
    ]);
    expect(first.reason).toBe('poweroff');
  });

  it('the load was on all of them', () => {
    for (const count of first.instructions) expect(count).toBeGreaterThan(20_000_000);
  });

  it('does the same every time under the virtual clock: console, and instructions of each vCPU', async () => {
    const second = await boot();
    expect(second.console).toBe(first.console);
    expect(second.instructions).toEqual(first.instructions);
  });
});
