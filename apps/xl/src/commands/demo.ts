import { demoKernel } from '@xenolith/guest-kernels';
import { loadKernel } from '@xenolith/host';
import { type RunOptions, runGuest } from '../run-guest.js';

/** What the demo does where nobody can type. */
const SCRIPT = ['features', 'mem', 'time', 'xenstore', 'sleep 1', 'uptime', 'poweroff'];

/** `xenolith demo` */
export async function demoCommand(options: RunOptions): Promise<number> {
  const kernel = loadKernel(demoKernel);
  const image = { kernel, kernelPath: 'demo.elf' };
  if (process.stdin.isTTY) return runGuest(image, options);
  const script = new TextEncoder().encode(SCRIPT.map((line) => `${line}\r`).join(''));
  return runGuest({ ...image, script }, options);
}
