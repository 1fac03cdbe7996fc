import * as abi from '@xenolith/xen-abi';
import { type FabricGuest, settle } from '@xenolith/xenbus/testing';
import { describe, expect, it } from 'vitest';
import * as codec from '../codec/index.js';
import { packet } from '../frame/testing.js';
import { someFrame } from '../testing/net-pair.js';
import { BACK, FRONT, type RawFrontend, rawFrontend } from '../testing/raw-frontend.js';
import type { RawQueue } from '../testing/raw-queue.js';

const { NETIF_RSP_OKAY: OKAY, NETIF_RSP_ERROR: ERROR, NETIF_RSP_NULL: NULL } = abi;

/** A packet in `count` slots, of a byte each behind the first. */
const chain = (queue: RawQueue, count: number) =>
  Array.from({ length: count }, (_, id) => {
    const flags = id < count - 1 ? abi.NETTXF_more_data : 0;
    const size = id === 0 ? 1000 : 1;
    return codec.encodeTxRequest({ ref: queue.buffer().ref, offset: 0, flags, id, size });
  });

/** Lets whatever is read of a ring's slots be something else when it is read again. */
function scribbling(back: FabricGuest): void {
  const { map } = back.grants;
  back.grants.map = (...args) => {
    const mapping = map(...args);
    if (typeof mapping === 'number') return mapping;
    const read = mapping.read.bind(mapping);
    mapping.read = (offset, length) => {
      const bytes = read(offset, length);
      if (offset >= 64) mapping.write(offset, new Uint8Array(length).fill(0xff));
      return bytes;
    };
    return mapping;
  };
}

describe('a hostile frontend', () => {
  it.each<[string, (setUp: RawFrontend) => Uint8Array[], number[]]>([
    [
      'a wild grant',
      () => [codec.encodeTxRequest({ ref: 9999, offset: 0, flags: 0, id: 0, size: 60 })],
      [ERROR],
    ],
    [
      'a grant for somebody else',
      ({ front }) => {
        const ref = front.grants.grantAccess(7, front.memory.allocate()!);
        return [codec.encodeTxRequest({ ref, offset: 0, flags: 0, id: 0, size: 60 })];
      },
      [ERROR],
    ],
    [
      'a grant that was taken back',
      ({ queue, front }) => {
        const { ref } = queue.buffer();
        front.grants.endAccess(ref);
        return [codec.encodeTxRequest({ ref, offset: 0, flags: 0, id: 0, size: 60 })];
      },
      [ERROR],
    ],
    [
      'over the end of its page',
      ({ queue }) => [
        codec.encodeTxRequest({ ref: queue.buffer().ref, offset: 4090, flags: 0, id: 0, size: 60 }),
      ],
      [ERROR],
    ],
    ['in too many slots', ({ queue }) => chain(queue, 19), new Array(19).fill(ERROR)],
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
      'packet has no end',
      ({ queue }) => {
        // As many slots as the ring has.
        for (const slot of chain(queue, 257).slice(0, 256)) queue.tx.ring.put(slot);
        queue.tx.ring.push();
      },
    ],
    [
      'packet has no end of extra infos',
      ({ queue }) => {
        const extra = { kind: 'gso' as const, size: 1448, type: 1 };
        for (const slot of queue.slotsOf(packet(), 0, new Array(6).fill(extra))) queue.tx.ring.put(slot);
        queue.tx.ring.push();
      },
    ],
    ['control ring', ({ control }) => control.ring.page.writeU32(0, 0x8000_0000)],
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
    const setUp = await rawFrontend({ control: true });
    act(setUp);
    setUp.front.eventChannels.send(setUp.queue.txPort);
    setUp.front.eventChannels.send(setUp.control.port);
    await settle();
    expect([setUp.state(), setUp.isUp()]).toEqual(['5', false]);
    expect(setUp.error()).toContain('no longer');
    // That is said once, whatever it does now.
    const said = setUp.log.length;
    for (let i = 0; i < 20; i++) {
      for (const port of [setUp.queue.txPort, setUp.control.port]) setUp.front.eventChannels.send(port);
      await settle();
    }
    expect(setUp.log.length).toBe(said);
    setUp.fabric.store.write(`${setUp.directory}/state`, '6');
    await settle();
    expect([setUp.state(), setUp.back.openPorts, setUp.front.grantsInUse, setUp.back.pagesInUse]).toEqual([
      '6',
      0,
      0,
      0,
    ]);
  });

  it('cannot change a packet once it has been looked at', async () => {
    const { queue, sent } = await rawFrontend({ prepare: scribbling });
    const data = packet({ payload: 9000 });
    const gso = { kind: 'gso' as const, size: 1448, type: abi.XEN_NETIF_GSO_TYPE_TCPV4 };
    const slots = queue.slotsOf(data, abi.NETTXF_csum_blank, [gso]);
    expect(await queue.transmit(...slots)).toEqual([OKAY, OKAY, OKAY, NULL]);
    const page = queue.buffer(someFrame(60).data);
    await queue.transmit(codec.encodeTxRequest({ ref: page.ref, offset: 0, flags: 0, id: 0, size: 60 }));
    page.page.write(0, new Uint8Array(60));
    expect(sent).toEqual([
      { data, checksum: 'blank', segmentation: { protocol: 'tcp4', size: 1448 } },
      someFrame(60),
    ]);
  });

  it('may send events without end: they do nothing', async () => {
    const { front, queue, statistics, fabric, arrive } = await rawFrontend({ split: true, control: true });
    for (let i = 0; i < 10_000; i++)
      for (const port of [queue.txPort, queue.rxPort]) front.eventChannels.send(port);
    await fabric.advance(1000);
    expect(Object.values(statistics)).toEqual([0, 0, 0, 0, 0, 0]);
    arrive(someFrame(60));
    await queue.offer(1);
    expect(queue.frames().length).toBe(1);
  });

  it('has its bad packets, and what it has no room for, counted', async () => {
    const { queue, arrive, statistics } = await rawFrontend({ options: { maxWaitingBytes: 1000 } });
    for (let i = 0; i < 30; i++) await queue.transmit(...queue.slotsOf(new Uint8Array(13)));
    await queue.transmit(...queue.slotsOf(someFrame(100).data));
    for (let i = 0; i < 3; i++) arrive(someFrame(700));
    await queue.offer(3);
    expect(statistics).toEqual({
      txFrames: 1,
      txBytes: 100,
      txBad: 30,
      rxFrames: 1,
      rxBytes: 700,
      rxDropped: 2,
    });
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
