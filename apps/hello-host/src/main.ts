#!/usr/bin/env node
// The shortest host: boots the kernel that is named, or the hello guest, and prints what it prints.
import { readFileSync } from 'node:fs';
import { helloKernel } from '@xenolith/guest-kernels';
import { createHost, loadKernel } from '@xenolith/host';

const [path, ...words] = process.argv.slice(2);
const host = await createHost({ memoryMiB: 64 });
const guest = host.createDomain({
  kernel: loadKernel(path === undefined ? helloKernel : readFileSync(path)),
  cmdline: words.join(' '),
  memoryMiB: 64,
  onConsole: (bytes) => process.stdout.write(bytes),
});
guest.unpause();
await host.run();
const { reason, crash } = await guest.ended;
console.error(`The guest ended: ${crash?.reason ?? reason}.`);
process.exitCode = reason === 'poweroff' ? 0 : 1;
