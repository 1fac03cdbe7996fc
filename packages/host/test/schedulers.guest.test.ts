import { smpKernel } from '@xenolith/guest-kernels';
import { expect, it } from 'vitest';
import { createHost, type HostOptions, loadKernel } from '../src/index.js';

/** Two guests beside each other: their consoles, and instructions of each vCPU. */
async function run(scheduler: NonNullable<HostOptions['scheduler']>, vcpuCounts: readonly number[]) {
  const host = await createHost({ memoryMiB: 32, clock: 'virtual', strict: true, scheduler });
  const kernel = loadKernel(smpKernel);
  const guests = vcpuCounts.map((vcpus, n) => {
    const console = { text: '' };
    const onConsole = (bytes: Uint8Array) => {
      console.text += new TextDecoder().decode(bytes);
    };
    return {
      console,
      domain: host.createDomain({
        kernel,
        name: `guest${n}`,
        memoryMiB: 8,
        vcpus,
        weight: 256 << n,
        onConsole,
      }),
    };
  });
  for (const { domain } of guests) domain.unpause();
  await host.run();
  return guests.map(({ console, domain }) => ({
    text: console.text,
    reason: domain.result?.reason,
    instructions: domain.vcpuInstructions,
  }));
}

it.each([
  ['rr', [2, 4]],
  ['credit', [2, 4]],
  // One vCPU of these guests waits for another in loops of hypercalls, which `null` never interrupts.
  ['null', [1, 1]],
] as const)(
  '%s: guests beside each other do their work, and the same every time',
  async (scheduler, vcpus) => {
    const [first, second] = [await run(scheduler, vcpus), await run(scheduler, vcpus)];
    for (const { text, reason } of first) {
      expect(text).toContain('smp: ok');
      expect(reason).toBe('poweroff');
    }
    expect(second).toEqual(first);
  },
);
