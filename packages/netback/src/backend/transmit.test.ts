import * as abi from '@xenolith/xen-abi';
import { settle } from '@xenolith/xenbus/testing';
import { describe, expect, it } from 'vitest';
import * as codec from '../codec/index.js';
import { someFrame } from '../testing/net-pair.js';
import { rawFrontend } from '../testing/raw-frontend.js';

const { NETIF_RSP_OKAY: OKAY } = abi;

describe('what a guest sends', () => {
  it.each([60, 1514, 4096, 9014, 65_535])('a frame of %i bytes', async (length) => {
    const { sent, queue } = await rawFrontend();
    const { data } = someFrame(length);
    expect(await queue.transmit(...queue.slotsOf(data))).toEqual(
      new Array(Math.ceil(length / 4096)).fill(OKAY),
    );
    expect(sent).toEqual([{ data }]);
  });

  it('with pieces anywhere in their pages', async () => {
    const { sent, queue } = await rawFrontend();
    const one = queue.buffer(someFrame(4096).data);
    const two = queue.buffer(someFrame(4096, 3).data);
    await queue.transmit(
      codec.encodeTxRequest({ ref: one.ref, offset: 4000, size: 100, id: 0, flags: abi.NETTXF_more_data }),
      codec.encodeTxRequest({ ref: two.ref, offset: 17, size: 4, id: 1, flags: 0 }),
    );
    expect(sent[0]?.data).toEqual(Uint8Array.from([...one.page.read(4000, 96), ...two.page.read(17, 4)]));
  });

  it('no faster than the toolstack allows', async () => {
    const { sent, fabric, backDirectory, queue } = await rawFrontend({
      backendNodes: { rate: '10000,50000' },
    });
    const frame = someFrame(1000).data;
    for (let i = 0; i < 50; i++) await queue.transmit(...queue.slotsOf(frame));
    expect(sent.length).toBe(10);
    await fabric.advance(50_000_000);
    expect(sent.length).toBe(20);
    await fabric.advance(150_000_000);
    expect([sent.length, queue.responses().length]).toEqual([50, 40]);
    // Without a limit again.
    fabric.store.write(`${backDirectory}/rate`, '');
    await settle();
    for (let i = 0; i < 50; i++) await queue.transmit(...queue.slotsOf(frame));
    expect(sent.length).toBe(100);
  });
});
