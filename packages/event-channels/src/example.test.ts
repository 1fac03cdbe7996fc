import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { EventChannels } from './index.js';

it('the example of the README', () => {
  const log: string[] = [];
  // <example>
  const machine = new Uint8Array(4096);
  const events = new EventChannels({
    notify: (domid, vcpu) => log.push(`upcall for d${domid}v${vcpu}`),
    unblock: (domid, vcpu) => log.push(`d${domid}v${vcpu} polled`),
  });
  // A guest: its shared_info lies at 0 of `machine`, and its vcpu_info at the start of that.
  const delivery = { bytes: machine, sharedInfo: () => 0, vcpuInfo: (vcpu: number) => vcpu * 64 };
  events.addDomain({ domid: 1, vcpus: 1, delivery });
  // Domain 0 is TypeScript: a callback takes its events.
  const onEvent = (port: number) => log.push(`event on port ${port} of domain 0`);
  events.addDomain({ domid: 0, vcpus: 1, privileged: true, delivery: { onEvent } });

  const guestPort = events.allocUnbound(0, 1, 0); // The toolstack makes a port of domain 1 that domain 0 may bind.
  const port = events.bindInterdomain(0, 1, guestPort);
  events.send(0, port);
  events.send(1, guestPort);
  // </example>
  expect(log).toEqual(['event on port 1 of domain 0', 'upcall for d1v0', 'event on port 1 of domain 0']);
});

it('the README shows this very code', () => {
  const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
  const example = /```ts\n([\s\S]*?)```/.exec(read('../README.md'))![1]!.trim();
  const flat = (text: string) => text.replace(/\s+/g, ' ');
  expect(flat(read('./example.test.ts'))).toContain(flat(example));
});
