import { smpKernel } from '@xenolith/guest-kernels';
import { expect, it } from 'vitest';
import { createHost, type DomainResult, type Host, loadKernel } from '../src/index.js';

interface Run {
  result: DomainResult;
  lines: string[];
  instructions: readonly number[];
}

async function run(vcpus: number, cmdline = '', prepare: (host: Host) => void = () => {}): Promise<Run> {
  const host = await createHost({ memoryMiB: 16, clock: 'virtual', strict: true });
  prepare(host);
  let console = '';
  const guest = host.createDomain({
    kernel: loadKernel(smpKernel),
    memoryMiB: 8,
    vcpus,
    cmdline,
    onConsole: (bytes) => {
      console += new TextDecoder().decode(bytes);
    },
  });
  guest.unpause();
  await host.run();
  return {
    result: await guest.ended,
    lines: console.trimEnd().split('\r\n'),
    instructions: guest.vcpuInstructions,
  };
}

it.each([1, 2, 4, 8])('%i vCPUs: lock, interrupts, turns, NMIs, down and up, flushes', async (vcpus) => {
  const { result, lines, instructions } = await run(vcpus);
  expect(lines).toEqual([
    `${vcpus} vCPUs`,
    `counted: ${vcpus * 1000} of ${vcpus * 1000}`,
    `interrupts: ${(vcpus - 1) * 100} round trips`,
    `turns taken: ${vcpus * 100}`,
    `NMIs: ${vcpus}`,
    ...(vcpus > 1 ? [`vCPU ${vcpus - 1} went down and came up again`] : []),
    'page tables: 8 ways to flush',
    'smp: ok',
  ]);
  expect(result.reason).toBe('poweroff');
  // Each did its part.
  for (const count of instructions) expect(count).toBeGreaterThan(10_000);
});

it('does the same every time under the virtual clock', async () => {
  const [first, second] = [await run(4), await run(4)];
  expect(second.lines).toEqual(first.lines);
  expect(second.instructions).toEqual(first.instructions);
});

it('sees that a hypervisor does not flush', async () => {
  const { lines } = await run(4, '', ({ hypervisor: { cpu } }) => {
    cpu.flushAll = () => {};
    cpu.flushPage = () => {};
  });
  const stale = lines.filter((line) => /^FAILED: .*: 4 vCPUs read the old page, 4 wrote/.test(line));
  expect(stale).toHaveLength(8);
  expect(lines.at(-1)).toBe('smp: 8 failures');
});

it('a crash of the last vCPU is reported with what all of them did', async () => {
  const { result } = await run(4, 'crash');
  expect(result.reason).toBe('crash');
  expect(result.crash).toMatchObject({
    vcpu: 3,
    state: 'running',
    code: expect.objectContaining({ 0: 0x0f, 1: 0x0b }),
  });
  expect(result.crash!.others.map(({ vcpu }) => vcpu)).toEqual([0, 1, 2]);
  for (const { state, code, stack } of result.crash!.others) {
    expect(state).toBe('runnable');
    expect(code).toHaveLength(15);
    expect(stack.length).toBeGreaterThan(0);
  }
});
