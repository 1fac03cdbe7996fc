import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { createHost, loadKernel } from '../src/index.js';

const file = (path: string) => readFileSync(new URL(path, import.meta.url));

/**
 * What the kernel `debug` printed as a domU of 16 MiB under Debian 12's Xen
 * (xen-hypervisor-4.17-amd64 4.17.7+13-g2445b30a44-0+deb12u1, in QEMU's emulation of a PC).
 */
const REAL = file('../fixtures/debug.console.txt').toString();

async function run(cmdline = ''): Promise<string[]> {
  const host = await createHost({ memoryMiB: 32, clock: 'virtual', strict: true });
  let text = '';
  const onConsole = (bytes: Uint8Array) => {
    text += new TextDecoder().decode(bytes);
  };
  const kernel = loadKernel(file('../../guest-kernels/images/debug.elf'));
  const guest = host.createDomain({ kernel, memoryMiB: 16, cmdline, onConsole });
  guest.unpause();
  await host.run();
  expect((await guest.ended).reason).toBe('poweroff');
  return text.split('\r\n');
}

it('breakpoints on code, data and ports, and single steps: every line as under real Xen', async () => {
  expect(await run()).toEqual(REAL.split(/\r?\n/));
});

// AMD64 APM volume 3, INT1: a trap that no gate's DPL keeps from ring 3, and that says nothing in DR6. INT n is a #GP to the
// processor, which Xen makes the interrupt of. RF of faults: volume 2, section 3.1.6.
it('INT1 and INT n come behind the instruction, the latter with RF, as faults have it', async () => {
  const lines = await run('int');
  expect(lines).toContain('int1: 1, at +1 RF 0 DR6 ffff0ff0');
  expect(lines).toContain('int 0x30: 1, at +2 RF 1 DR6 ffff0ff0');
  expect(lines).toContain('ud2: 1, at +0 RF 1 DR6 ffff0ff0');
});
