import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createHost, loadKernel } from '../src/index.js';

const file = (path: string) => readFileSync(new URL(path, import.meta.url));

/** `call = result` for each line that says so. */
function results(text: string): Map<string, string> {
  const lines = text.split(/\r?\n/).filter((line) => line.includes(' = '));
  return new Map(lines.map((line) => line.split(' = ') as [string, string]));
}

/**
 * What the kernel `errnos` printed as a domU of 16 MiB and two vCPUs under Debian 12's Xen
 * (xen-hypervisor-4.17-amd64 4.17.7+13-g2445b30a44-0+deb12u1, in QEMU's emulation of a PC).
 */
const REAL = results(file('../fixtures/errnos.console.txt').toString());

const NO_PCI = 'the device that it is about exists on a PC, where that refusal comes first';

/** Calls that answer something else here, and why that is right. */
const ACCEPTED: Record<string, string> = {
  'xenoprof_op 0': 'no performance counters, as on a processor that Xen’s profiler does not know',
  'physdev_op restore_msi': NO_PCI,
  'physdev_op restore_msi_ext': NO_PCI,
};

describe('every hypercall with right and wrong arguments', async () => {
  const host = await createHost({ memoryMiB: 64, clock: 'virtual', strict: true });
  const kernel = loadKernel(file('../../guest-kernels/images/errnos.elf'));
  let text = '';
  const onConsole = (bytes: Uint8Array) => {
    text += new TextDecoder().decode(bytes);
  };
  const guest = host.createDomain({ kernel, memoryMiB: 16, vcpus: 2, onConsole });
  guest.unpause();
  await host.run();
  const ours = results(text);

  it('was made', async () => {
    expect((await guest.ended).reason).toBe('poweroff');
    expect(text).toContain('ERRNOS-DONE');
    expect([...ours.keys()]).toEqual([...REAL.keys()]);
    expect(REAL.size).toBeGreaterThan(800);
  });

  it('answers what Xen 4.17 answers', () => {
    const different = [...REAL].filter(([call, result]) => !(call in ACCEPTED) && ours.get(call) !== result);
    expect(different.map(([call, result]) => `${call} = ${ours.get(call)}, not ${result}`)).toEqual([]);
  });

  it.each(Object.entries(ACCEPTED))('%s differs: %s', (call) => {
    expect(ours.get(call)).toBeDefined();
    expect(ours.get(call)).not.toBe(REAL.get(call));
  });
});
