import { pingpongKernel } from '@xenolith/guest-kernels';
import { expect, it } from 'vitest';
import type { HostOptions } from './host.js';
import { TestHost } from './testing.js';

const ROUNDS = 200;
const DONE = /^pingpong: 200 round trips in \d+ ns\r\n$/;

it('two guests wake each other in turns, and no event is lost', async () => {
  const test = await TestHost.create();
  const ends = [
    test.boot(pingpongKernel, { cmdline: `serve 2 ${ROUNDS}` }),
    test.boot(pingpongKernel, { cmdline: `call 1 ${ROUNDS}` }),
  ];
  await test.host.run();
  for (const { guest, output } of ends) {
    expect(guest.result, output).toMatchObject({ reason: 'poweroff' });
    expect(output).toMatch(DONE);
  }
});

/** A guest that calls domain 0, which answers each event with `answer`. */
async function callDomain0(rounds: number, options: HostOptions, answer: (send: () => void) => void) {
  const test = await TestHost.create(options);
  const { eventChannels } = test.host.dom0;
  const { local } = test.host.xenstore;
  const caller = test.create(pingpongKernel, { cmdline: `call 0 ${rounds}` });
  const port = eventChannels.allocUnbound(caller.guest.domid);
  eventChannels.onEvent(port, () => answer(() => void eventChannels.send(port)));
  local.write('/local/domain/0/data/pingpong', String(port));
  local.setPermissions('/local/domain/0/data/pingpong', [{ domid: 0, access: 'r' }]);
  caller.guest.unpause();
  await test.host.run();
  return caller.output;
}

it('a guest and domain 0 wake each other in turns', async () => {
  let events = 0;
  const output = await callDomain0(ROUNDS, {}, (send) => {
    events++;
    send();
  });
  expect(output).toMatch(DONE);
  expect(events).toBe(ROUNDS);
});

it('an event that domain 0 sends while the host sleeps ends the sleep', async () => {
  const later = (send: () => void) => void setTimeout(send, 5);
  expect(await callDomain0(3, { clock: 'real' }, later)).toContain('3 round trips');
});
