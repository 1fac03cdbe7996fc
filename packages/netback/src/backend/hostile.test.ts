import * as abi from '@xenolith/xen-abi';
import { settle } from '@xenolith/xenbus/testing';
import { describe, expect, it } from 'vitest';
import * as codec from '../codec/index.js';
import { packet } from '../frame/testing.js';
import { someFrame } from '../testing/net-pair.js';
import { BACK, FRONT, type RawFrontend, rawFrontend } from '../testing/raw-frontend.js';

const { NETIF_RSP_OKAY: OKAY, NETIF_RSP_ERROR: ERROR, NETIF_RSP_NULL: NULL } = abi;

describe('a hostile frontend', () => {
  it.each<[string, (setUp: RawFrontend) => Uint8Array[], number[]]>([
    [
      'a wild grant',
      () => [codec.encodeTxRequest({ ref: 9999, offset: 0, flags: 0, id: 0, size: 60 })],
      [ERROR],
    ],
    ['too short', ({ queue }) => queue.slotsOf(new Uint8Array(13)), [ERROR]],
    [
      'blank where there is no checksum',
      ({ queue }) => queue.slotsOf(someFrame(60).data, abi.NETTXF_csum_blank),
      [ERROR],
    ],
    [
      'to be cut, and no TCP',
      ({ queue }) => queue.slotsOf(someFrame(60).data, 0, [{ kind: 'gso', size: 1448, type: 1 }]),
      [ERROR, NULL],
    ],
    [
      'to be cut into nothing',
      ({ queue }) => queue.slotsOf(packet(), 0, [{ kind: 'gso', size: 0, type: 1 }]),
      [ERROR, NULL],
    ],
    [
      'to be cut as nobody knows',
      ({ queue }) => queue.slotsOf(packet(), 0, [{ kind: 'gso', size: 1448, type: 3 }]),
      [ERROR, NULL],
    ],
  ])('bad frames are answered with an error, and not sent: %s', async (_, slots, statuses) => {
    const setUp = await rawFrontend();
    expect(await setUp.queue.transmit(...slots(setUp))).toEqual(statuses);
    expect([setUp.sent, setUp.log.length]).toEqual([[], 1]);
    expect(await setUp.queue.transmit(...setUp.queue.slotsOf(someFrame(60).data))).toEqual([OKAY]);
    expect(setUp.sent.length).toBe(1);
  });

  it('is not worth more than ten lines of the log', async () => {
    const { log, queue } = await rawFrontend();
    for (let i = 0; i < 100; i++) await queue.transmit(...queue.slotsOf(new Uint8Array(13)));
    expect(log.length).toBe(10);
  });

  it.each<[string, (setUp: RawFrontend) => void]>([
    ['transmit ring', ({ queue }) => queue.tx.page.writeU32(0, 0x8000_0000)],
    [
      'receive ring',
      ({ queue, arrive }) => {
        queue.rx.page.writeU32(0, 0x8000_0000);
        arrive(someFrame(60));
      },
    ],
    [
      'packet is not whole',
      ({ queue }) => {
        queue.tx.ring.put(
          codec.encodeTxRequest({
            ref: queue.buffer().ref,
            offset: 0,
            flags: abi.NETTXF_more_data,
            id: 0,
            size: 60,
          }),
        );
        queue.tx.ring.push();
      },
    ],
  ])('is served no longer when its %s cannot be believed', async (_, act) => {
    const setUp = await rawFrontend();
    act(setUp);
    setUp.front.eventChannels.send(setUp.queue.txPort);
    await settle();
    expect([setUp.state(), setUp.isUp()]).toEqual(['5', false]);
    expect(setUp.error()).toContain('no longer');
    setUp.fabric.store.write(`${setUp.directory}/state`, '6');
    await settle();
    expect([setUp.state(), setUp.back.openPorts, setUp.front.grantsInUse, setUp.back.pagesInUse]).toEqual([
      '6',
      0,
      0,
      0,
    ]);
  });

  it('a page that cannot be written is an error of its piece', async () => {
    const { front, arrive, queue } = await rawFrontend();
    const page = front.memory.allocate()!;
    const readonly = front.grants.grantAccess(BACK, page, { readonly: true });
    for (const [id, ref] of [readonly, queue.buffer().ref, queue.buffer().ref].entries())
      queue.rx.ring.put(codec.encodeRxRequest({ id, ref }));
    queue.rx.ring.push();
    front.eventChannels.send(queue.rxPort);
    await settle();
    arrive(someFrame(5000));
    arrive(someFrame(60));
    const statuses = [queue.rx.ring.take()!, queue.rx.ring.take()!, queue.rx.ring.take()!].map(
      (slot) => codec.decodeRxResponse(slot).status,
    );
    expect(statuses).toEqual([ERROR, 5000 - 4096, 60]);
  });

  it('dies while its frames wait for credit', async () => {
    const { fabric, back, sent, queue } = await rawFrontend({
      backendNodes: { rate: '1000,50000' },
    });
    await queue.transmit(...queue.slotsOf(someFrame(1514).data));
    fabric.removeGuest(FRONT);
    await fabric.advance(1e9);
    fabric.store.rm(`/local/domain/${BACK}/backend/vif/${FRONT}`);
    await fabric.advance(1e9);
    expect([back.openPorts, sent.length, back.pagesInUse]).toEqual([0, 0, 0]);
  });
});
