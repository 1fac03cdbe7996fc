import { readFileSync } from 'node:fs';
import { eventsKernel } from '@xenolith/guest-kernels';
import { expect, it } from 'vitest';
import { createHost, type DomainConfig, loadKernel } from '../src/index.js';

/**
 * What the kernel `events` printed as a domU of 16 MiB under Debian 12's Xen
 * (xen-hypervisor-4.17-amd64 4.17.7+13-g2445b30a44-0+deb12u1, in QEMU's emulation of a PC).
 */
const REAL = readFileSync(new URL('../fixtures/events.console.txt', import.meta.url), 'latin1');

async function run(config: Partial<DomainConfig> = {}): Promise<string> {
  const host = await createHost({ memoryMiB: 32, clock: 'virtual', strict: true, checkInterval: 50 });
  let text = '';
  const onConsole = (bytes: Uint8Array) => {
    text += new TextDecoder('latin1').decode(bytes);
  };
  const guest = host.createDomain({ kernel: loadKernel(eventsKernel), memoryMiB: 16, onConsole, ...config });
  guest.unpause();
  await host.run();
  expect((await guest.ended).reason).toBe('poweroff');
  return text;
}

it('event channels, 2-level and FIFO: every line as under real Xen', async () => {
  expect((await run()).split('\r\n')).toEqual(REAL.split(/\r?\n/));
});

it('the port limit is the domain’s, as max_event_channels of xl.cfg', async () => {
  expect(await run({ maxEventPort: 20 })).toContain('the last port: 20, then -28');
  expect(await run({ maxEventPort: 6000 })).toContain('the last port: 6000, then -28');
});
