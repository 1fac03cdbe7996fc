import { compileInterpreter } from '@xenolith/cpu-emulator';
import { tablesKernel } from '@xenolith/guest-kernels';
import { expect, it } from 'vitest';
import { createHost, type Host, loadKernel } from '../src/index.js';

const interpreter = compileInterpreter();
const ROUNDS = 3000;

/** Two vCPUs in slices of some thousand instructions, each exit checked, and all frames counted anew every 50 exits. */
async function play(seed: number, prepare: (host: Host) => void = () => {}): Promise<number> {
  const host = await createHost({
    memoryMiB: 8,
    clock: 'virtual',
    strict: true,
    checkInterval: 50,
    interpreter: await interpreter,
  });
  host.hypervisor.scheduler.sliceNs = () => 2_000 + seed * 137;
  prepare(host);
  let console = '';
  const guest = host.createDomain({
    kernel: loadKernel(tablesKernel),
    memoryMiB: 8,
    vcpus: 2,
    cmdline: `seed=${seed} rounds=${ROUNDS}`,
    onConsole: (bytes) => {
      console += new TextDecoder().decode(bytes);
    },
  });
  guest.unpause();
  await host.run();
  const { reason, crash } = await guest.ended;
  expect({ reason, crash: crash?.reason }).toEqual({ reason: 'poweroff', crash: undefined });
  const [, done] = /^tables: (\d+) of 6000\r\n$/.exec(console) ?? [];
  expect(done, console).toBeDefined();
  return Number(done);
}

it('two vCPUs change page tables at random, and every count stays right', async () => {
  for (let seed = 1; seed <= 6; seed++) {
    // With too few that are done, or too many, it would test nothing.
    const share = (await play(seed)) / (2 * ROUNDS);
    expect(share, `seed ${seed}`).toBeGreaterThan(0.2);
    expect(share, `seed ${seed}`).toBeLessThan(0.9);
  }
});

it('finds a hypervisor that leaves another vCPU its stale right to write to what became a page table', async () => {
  const outcomes = [];
  for (let seed = 1; seed <= 6; seed++) {
    const broken = play(seed, ({ hypervisor: { spaces } }) => {
      spaces.forgetWrites = () => {};
    });
    outcomes.push(await broken.then(() => 'nothing', String));
  }
  expect(
    outcomes.filter((outcome) => /miscounted|InvariantError/.test(outcome)).length,
    outcomes.join('\n'),
  ).toBeGreaterThan(0);
});
