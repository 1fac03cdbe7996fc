import { pingpongKernel } from '@xenolith/guest-kernels';
import { expect, it } from 'vitest';
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

it('a guest and domain 0 wake each other in turns', async () => {
  const test = await TestHost.create();
  const { eventChannels } = test.host.dom0;
  const { local } = test.host.xenstore;
  const caller = test.create(pingpongKernel, { cmdline: `call 0 ${ROUNDS}` });
  const port = eventChannels.allocUnbound(caller.guest.domid);
  let events = 0;
  eventChannels.onEvent(port, () => {
    events++;
    eventChannels.send(port);
  });
  local.write('/local/domain/0/data/pingpong', String(port));
  local.setPermissions('/local/domain/0/data/pingpong', [{ domid: 0, access: 'r' }]);
  caller.guest.unpause();
  await test.host.run();
  expect(caller.output).toMatch(DONE);
  expect(events).toBe(ROUNDS);
});
