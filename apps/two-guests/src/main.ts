#!/usr/bin/env node
// Two guests in one host: one serves a disk and a network interface, the other uses them. Domain 0 is not between them:
// what they share is granted by the one and mapped by the other.
import { createHost } from '@xenolith/host';
import { client } from './client.js';
import { server } from './server.js';
import { showHandshake } from './show-handshake.js';

const host = await createHost({ memoryMiB: 16, clock: 'virtual' });
const show = (name: string) => (bytes: Uint8Array) => {
  for (const line of new TextDecoder().decode(bytes).trimEnd().split('\r\n')) console.log(`${name}: ${line}`);
};

const back = host.createNativeDomain({ name: 'back', kernel: server, onConsole: show('back') });
showHandshake(host.xenstore);
const front = host.createNativeDomain({
  name: 'front',
  kernel: client,
  onConsole: show('front'),
  disks: [{ vdev: 'xvda', backend: back.name, params: String(1 << 20) }],
  vifs: [{ mac: '00:16:3e:00:00:01', backend: back.name }],
});
void front.ended.then(() => back.requestShutdown());

await host.run();
const results = [front, back].map(({ name, result }) => `${name} ended: ${result?.error ?? result?.reason}`);
console.log(results.join(', '));
process.exitCode = [front, back].every(({ result }) => result?.reason === 'poweroff') ? 0 : 1;
