import * as abi from '@xenolith/xen-abi';
import { settle } from '@xenolith/xenbus/testing';
import { describe, expect, it } from 'vitest';
import * as codec from '../codec/index.js';
import { packet } from '../frame/testing.js';
import { someFrame } from '../testing/net-pair.js';
import { rawFrontend } from '../testing/raw-frontend.js';

describe('queues', () => {
  it.each([false, true])('several, with split event channels: %j', async (split) => {
    const { sent, arrive, queue, queues } = await rawFrontend({ queues: 4, split });
    await queue.transmit(...queue.slotsOf(someFrame(60).data));
    expect(sent.length).toBe(1);
    for (const each of queues) await each.offer(200);
    for (let i = 0; i < 100; i++) {
      const data = packet();
      data[34] = i;
      arrive({ data });
      arrive({ data });
    }
    const counts = queues.map((each) => each.frames().map(({ data }) => data[34]));
    expect(counts.flat().length).toBe(200);
    for (const flows of counts) {
      expect(flows.length).toBeGreaterThan(10);
      // A flow stays in its queue.
      expect(flows.filter((flow, i) => i % 2 === 1 && flow !== flows[i - 1])).toEqual([]);
    }
  });

  it('tell of each direction by its own event channel', async () => {
    const { front, queue, arrive } = await rawFrontend({ split: true });
    const events = { tx: 0, rx: 0 };
    front.eventChannels.onEvent(queue.txPort, () => events.tx++);
    front.eventChannels.onEvent(queue.rxPort, () => events.rx++);
    await queue.transmit(...queue.slotsOf(someFrame(60).data));
    expect(events).toEqual({ tx: 1, rx: 0 });
    await queue.offer(1);
    arrive(someFrame(60));
    await settle();
    expect(events).toEqual({ tx: 1, rx: 1 });
  });

  it('are chosen as the frontend asks over the control ring', async () => {
    const { arrive, queues, control } = await rawFrontend({ queues: 2, control: true });
    const [first, second] = [queues[0]!, queues[1]!];
    const {
      XEN_NETIF_CTRL_STATUS_SUCCESS: SUCCESS,
      XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER: INVALID,
      XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED: UNSUPPORTED,
      XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW: OVERFLOW,
    } = abi;
    expect(await control.ask(abi.XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS)).toEqual([UNSUPPORTED, 0]);
    expect(await control.ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, 3)).toEqual([INVALID, 0]);
    expect(await control.ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, 2)).toEqual([INVALID, 0]);
    expect(await control.ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, 1)).toEqual([SUCCESS, 0]);
    expect(await control.ask(abi.XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS)).toEqual([SUCCESS, 15]);
    expect(await control.ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, 16)).toEqual([INVALID, 0]);
    expect(await control.ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, 3)).toEqual([SUCCESS, 0]);
    const key = first.buffer(Uint8Array.from({ length: 40 }, (_, i) => i * 6 + 1));
    expect(await control.ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, key.ref, 41)).toEqual([OVERFLOW, 0]);
    expect(await control.ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, 9999, 40)).toEqual([INVALID, 0]);
    expect(await control.ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, key.ref, 40)).toEqual([SUCCESS, 0]);
    expect(await control.ask(abi.XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE)).toEqual([SUCCESS, 128]);
    expect(await control.ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, 129)).toEqual([INVALID, 0]);
    expect(await control.ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, 4)).toEqual([SUCCESS, 0]);
    const mapping = first.buffer(Uint8Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0));
    expect(await control.ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, mapping.ref, 4, 1)).toEqual([
      INVALID,
      0,
    ]);
    expect(await control.ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, mapping.ref, 5, 0)).toEqual([
      INVALID,
      0,
    ]);
    expect(await control.ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, mapping.ref, 4, 0)).toEqual([
      SUCCESS,
      0,
    ]);
    expect(await control.ask(99)).toEqual([UNSUPPORTED, 0]);
    await first.offer(4);
    await second.offer(4);
    arrive({ data: packet() });
    expect(first.received()).toEqual([]);
    const [slot, extra] = second.received();
    expect(codec.decodeRxResponse(slot!.slot).flags).toBe(abi.NETRXF_extra_info);
    expect(codec.decodeExtra(extra!.slot).extra).toMatchObject({ kind: 'hash', algorithm: 1, type: 2 });
  });
});
