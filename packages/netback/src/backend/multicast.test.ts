import * as abi from '@xenolith/xen-abi';
import { expect, it } from 'vitest';
import { someFrame } from '../testing/net-pair.js';
import { ALL, rawFrontend } from '../testing/raw-frontend.js';

const { NETIF_RSP_OKAY: OKAY, NETIF_RSP_ERROR: ERROR, NETIF_RSP_NULL: NULL } = abi;

it('groups only that it has joined, if it wants control of that', async () => {
  const { arrive, queue } = await rawFrontend({
    nodes: { ...ALL, 'request-multicast-control': 1 },
  });
  await queue.offer(20);
  const group = someFrame(60).data.slice();
  group.set([1, 0, 0x5e, 0, 0, 1]);
  const count = () => {
    arrive({ data: group });
    return queue.frames().length;
  };
  const address = group.slice(0, 6);
  const message = (operation: 'add' | 'remove') =>
    queue.transmit(...queue.slotsOf(new Uint8Array(1), 0, [{ kind: 'multicast', operation, address }]));
  expect(count()).toBe(0);
  expect(await message('add')).toEqual([OKAY, NULL]);
  expect(count()).toBe(1);
  expect(await message('remove')).toEqual([OKAY, NULL]);
  expect(count()).toBe(0);
  arrive(someFrame(60));
  expect(queue.frames().length).toBe(1);
  for (let i = 0; i < 64; i++) {
    address[5] = 100 + i;
    expect(await message('add')).toEqual([OKAY, NULL]);
  }
  address[5] = 99;
  expect(await message('add')).toEqual([ERROR, NULL]);
});
