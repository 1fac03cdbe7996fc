import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { createHost, loadKernel } from '../src/index.js';

const file = (path: string) => readFileSync(new URL(path, import.meta.url));

/**
 * What the kernel `user` printed as a domU of 16 MiB under Debian 12's Xen
 * (xen-hypervisor-4.17-amd64 4.17.7+13-g2445b30a44-0+deb12u1, in QEMU's emulation of a PC).
 */
const REAL = file('../fixtures/user.console.txt').toString();

it('a program in user mode: system calls, an interrupt, faults; every line as under real Xen', async () => {
  const host = await createHost({ memoryMiB: 32, clock: 'virtual', strict: true });
  let text = '';
  const onConsole = (bytes: Uint8Array) => {
    text += new TextDecoder().decode(bytes);
  };
  const kernel = loadKernel(file('../../guest-kernels/images/user.elf'));
  const guest = host.createDomain({ kernel, memoryMiB: 16, onConsole });
  guest.unpause();
  await host.run();
  expect((await guest.ended).reason).toBe('poweroff');
  expect(text.split('\r\n')).toEqual(REAL.split(/\r?\n/));
});
