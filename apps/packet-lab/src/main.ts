#!/usr/bin/env node
// A small network: guests that ping each other over a switch with loss and delay, and what goes through each port in a
// file for Wireshark.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createHost } from '@xenolith/host';
import { Switch, type SwitchPortOptions } from '@xenolith/netback';
import { captureFile } from '@xenolith/netback/node';
import { machine, type Series } from './machine.js';

const LAB: readonly ({ name: string; address: string } & SwitchPortOptions)[] = [
  { name: 'desk', address: '10.0.0.1' },
  { name: 'abroad', address: '10.0.0.2', delayNs: 40e6 },
  { name: 'radio', address: '10.0.0.3', delayNs: 2e6, loss: 0.2 },
];

const directory = process.argv[2] ?? 'captures';
mkdirSync(directory, { recursive: true });
const host = await createHost({ memoryMiB: 16, clock: 'virtual' });
const { clock } = host.dom0;
const network = new Switch({ clock });

/** A port of the switch, with all that goes through it in a file. */
function port(name: string, options: SwitchPortOptions) {
  const startNs = host.hypervisor.wallclockNs;
  const { capture } = captureFile(join(directory, `${name}.pcapng`), { clock, startNs });
  return capture.tap(network.addPort(options), name);
}

const results: Series[][] = [];
const guests = LAB.map(({ name, address, ...options }, i) => {
  const others = LAB.map((other) => other.address).filter((other) => other !== address);
  return host.createNativeDomain({
    name,
    vifs: [{ mac: `00:16:3e:00:00:0${i + 1}`, port: port(name, options) }],
    kernel: machine(address, others, (series) => {
      if (results.push(series) === LAB.length) stop();
    }),
  });
});
function stop() {
  for (const guest of guests) guest.requestShutdown();
}
for (const guest of guests) void guest.ended.then(stop);
await host.run();

const named = (address: string) => LAB.find((each) => each.address === address)!.name.padEnd(8);
const ms = (time: number) => time.toFixed(1).padStart(6);
console.log('from     to       sent  answered  ms: least  most');
for (const { from, to, sent, answers } of results.flat().sort((a, b) => a.from.localeCompare(b.from))) {
  const counts = `${String(sent).padStart(4)}  ${String(answers.length).padStart(8)}`;
  console.log(
    `${named(from)} ${named(to)} ${counts}      ${ms(Math.min(...answers))}${ms(Math.max(...answers))}`,
  );
}
const failed = guests.filter(({ result }) => result?.reason !== 'poweroff');
for (const { name, result } of failed) console.error(`${name} ended: ${result?.error ?? result?.reason}`);
console.log(`captures: ${LAB.map(({ name }) => join(directory, `${name}.pcapng`)).join(' ')}`);
process.exitCode = failed.length > 0 ? 1 : 0;
