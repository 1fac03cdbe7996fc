import type { OwnPage } from '@xenolith/guest-api';
import { FrontRing } from '@xenolith/shared-ring';
import * as abi from '@xenolith/xen-abi';
import { addDevice, type DeviceSpec, serveBackends, serveFrontends } from '@xenolith/xenbus';
import {
  backendCompliance,
  Fabric,
  type FabricGuest,
  frontendCompliance,
  settle,
} from '@xenolith/xenbus/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as codec from '../codec/index.js';
import { isIntact, writeBlank } from '../frame/checksum.js';
import type { Frame } from '../frame/frame.js';
import { findHeaders } from '../frame/headers.js';
import { packet } from '../frame/testing.js';
import type { FrameReceiver } from '../ports/network-port.js';
import { echoPort, netPair, someFrame } from '../testing.js';
import { netBackend } from './net-backend.js';
import type { NetBackendOptions } from './options.js';

describe('the backend keeps the handshake', () => {
  for (const { name, run } of backendCompliance) it(name, () => run(netPair()));
});
describe('the frontend keeps the handshake', () => {
  for (const { name, run } of frontendCompliance) it(name, () => run(netPair()));
});
describe('the frontend keeps it with offloads', () => {
  for (const { name, run } of frontendCompliance) it(name, () => run(netPair({}, { offloads: true })));
});

const FRONT = 1;
const BACK = 2;
const ALL = {
  'request-rx-copy': 1,
  'feature-rx-notify': 1,
  'feature-sg': 1,
  'feature-gso-tcpv4': 1,
  'feature-gso-tcpv6': 1,
  'feature-ipv6-csum-offload': 1,
};

interface SetUp {
  options?: Partial<NetBackendOptions>;
  /** Instead of `ALL`. */
  nodes?: Record<string, string | number>;
  backendNodes?: Record<string, string | number>;
  queues?: number;
  split?: boolean;
  control?: boolean;
}

/** A frontend that a test writes by hand, and the port behind its backend. */
async function rawFrontend({
  options,
  nodes = ALL,
  backendNodes,
  queues = 1,
  split = false,
  control = false,
}: SetUp = {}) {
  const fabric = new Fabric();
  const front = fabric.addGuest(FRONT);
  const back = fabric.addGuest(BACK);
  const log: string[] = [];
  const sent: Frame[] = [];
  let receiver: FrameReceiver | undefined;
  const port = {
    send: (frame: Frame) => void sent.push(frame),
    connect: (to: FrameReceiver | undefined) => {
      receiver = to;
    },
  };
  serveBackends(
    back,
    netBackend(back, {
      open: async (end) => (end.otherId === FRONT ? port : echoPort()),
      log: { log: (_level, _part, message) => log.push(message) },
      ...options,
    }),
  );
  const spec: DeviceSpec = {
    type: 'vif',
    id: 0,
    frontendId: FRONT,
    backendId: BACK,
    backend: { ...backendNodes },
  };
  await addDevice(fabric.toolstack, spec);
  await settle();
  const directory = `/local/domain/${FRONT}/device/vif/0`;
  const backDirectory = `/local/domain/${BACK}/backend/vif/${FRONT}/0`;
  const write = (values: Record<string, string | number>) => {
    for (const [name, value] of Object.entries(values))
      fabric.store.write(`${directory}/${name}`, String(value));
  };
  const ring = (slotSize: number) => {
    const page = front.memory.allocate()!;
    return { page, ref: front.grants.grantAccess(BACK, page), ring: new FrontRing(page, { slotSize }) };
  };
  const newPort = () => front.eventChannels.allocUnbound(BACK);
  const pairs = Array.from({ length: queues }, (_, i) => {
    const tx = ring(codec.TX_SLOT_SIZE);
    const rx = ring(codec.RX_SLOT_SIZE);
    const txPort = newPort();
    const rxPort = split ? newPort() : txPort;
    const prefix = queues > 1 ? `queue-${i}/` : '';
    const channels = split
      ? { [`${prefix}event-channel-tx`]: txPort, [`${prefix}event-channel-rx`]: rxPort }
      : { [`${prefix}event-channel`]: txPort };
    write({ [`${prefix}tx-ring-ref`]: tx.ref, [`${prefix}rx-ring-ref`]: rx.ref, ...channels });
    return { tx, rx, txPort, rxPort };
  });
  if (queues > 1) write({ 'multi-queue-num-queues': queues });
  const ctrl = { ...ring(codec.CONTROL_SLOT_SIZE), port: newPort() };
  if (control) write({ 'ctrl-ring-ref': ctrl.ref, 'event-channel-ctrl': ctrl.port });
  write(nodes);
  write({ state: 4 });
  await settle();

  const { tx, rx, txPort, rxPort } = pairs[0]!;
  const buffer = (data: Uint8Array = new Uint8Array(0)) => {
    const page = front.memory.allocate()!;
    page.write(0, data);
    return { page, ref: front.grants.grantAccess(BACK, page) };
  };
  /** Puts slots in, and gives the statuses of the responses by id, and how many null ones there were. */
  const transmit = async (...slots: Uint8Array[]) => {
    for (const slot of slots) tx.ring.put(slot);
    tx.ring.push();
    front.eventChannels.send(txPort);
    await settle();
    return responses();
  };
  const responses = () => {
    const statuses: number[] = [];
    for (let slot = tx.ring.take(); slot; slot = tx.ring.take())
      statuses.push(codec.decodeTxResponse(slot).status);
    return statuses;
  };
  /** A frame as slots of the transmit ring. */
  const slotsOf = (data: Uint8Array, flags = 0, extras: codec.ExtraInfo[] = []) => {
    const pieces = Array.from({ length: Math.ceil(data.length / 4096) }, (_, i) =>
      data.subarray(i * 4096, (i + 1) * 4096),
    );
    const requests = pieces.map((piece, i) =>
      codec.encodeTxRequest({
        ref: buffer(piece).ref,
        offset: 0,
        id: i,
        size: i === 0 ? data.length : piece.length,
        flags:
          (i === 0 ? flags | (extras.length > 0 ? abi.NETTXF_extra_info : 0) : 0) |
          (i < pieces.length - 1 ? abi.NETTXF_more_data : 0),
      }),
    );
    const extraSlots = extras.map((extra, i) => codec.encodeExtra(extra, i < extras.length - 1));
    return [requests[0]!, ...extraSlots, ...requests.slice(1)];
  };
  const offers: OwnPage[][] = pairs.map(() => []);
  /** Offers pages for packets to come. */
  const offer = async (count: number, queue = 0) => {
    const pair = pairs[queue]!;
    for (let i = 0; i < count; i++) {
      const { page, ref } = buffer();
      offers[queue]!.push(page);
      pair.rx.ring.put(codec.encodeRxRequest({ id: i, ref }));
    }
    pair.rx.ring.push();
    front.eventChannels.send(pair.rxPort);
    await settle();
  };
  /** The slots that came, with the page that each had. */
  const received = (queue = 0) => {
    const slots: { slot: Uint8Array; page: OwnPage }[] = [];
    const { ring } = pairs[queue]!.rx;
    for (let slot = ring.take(); slot; slot = ring.take())
      slots.push({ slot, page: offers[queue]!.shift()! });
    return slots;
  };
  /** The frames that came, without their extra infos. */
  const frames = (queue = 0) => {
    const out: { flags: number; data: Uint8Array }[] = [];
    let rest: number[] | undefined;
    let skip = false;
    for (const { slot, page } of received(queue)) {
      if (skip) {
        skip = codec.decodeExtra(slot).more;
        continue;
      }
      const { offset, status, flags } = codec.decodeRxResponse(slot);
      if (!rest) out.push({ flags: flags & ~abi.NETRXF_more_data, data: new Uint8Array(0) });
      skip = !rest && (flags & abi.NETRXF_extra_info) !== 0;
      rest = [...(rest ?? []), ...page.read(offset, Math.max(status, 0))];
      out.at(-1)!.data = Uint8Array.from(rest);
      if ((flags & abi.NETRXF_more_data) === 0) rest = undefined;
    }
    return out;
  };
  const ask = async (type: number, ...data: number[]) => {
    ctrl.ring.put(codec.encodeControlRequest({ id: 7, type, data }));
    ctrl.ring.push();
    front.eventChannels.send(ctrl.port);
    await settle();
    const { status, data: answer } = codec.decodeControlResponse(ctrl.ring.take()!);
    return [status, answer];
  };
  const state = () => fabric.store.readIfExists(`${backDirectory}/state`);
  const arrive = (frame: Frame) => receiver?.(frame);
  return {
    fabric,
    front,
    back,
    log,
    sent,
    arrive,
    isUp: () => receiver !== undefined,
    tx,
    rx,
    txPort,
    rxPort,
    transmit,
    responses,
    slotsOf,
    buffer,
    offer,
    received,
    frames,
    ask,
    state,
    directory,
    backDirectory,
  };
}

const { NETIF_RSP_OKAY: OKAY, NETIF_RSP_ERROR: ERROR, NETIF_RSP_NULL: NULL } = abi;

describe('what a guest sends', () => {
  it('is offered what this backend can', async () => {
    const { fabric, backDirectory, state, isUp } = await rawFrontend();
    const nodes = Object.fromEntries(
      fabric.store.list(backDirectory).map((name) => [name, fabric.store.read(`${backDirectory}/${name}`)]),
    );
    expect(nodes).toMatchObject({
      'feature-rx-copy': '1',
      'feature-sg': '1',
      'feature-gso-tcpv4': '1',
      'feature-gso-tcpv6': '1',
      'feature-ctrl-ring': '1',
      'feature-multicast-control': '1',
      'feature-split-event-channels': '1',
      'multi-queue-max-queues': '4',
    });
    expect([state(), isUp()]).toEqual(['4', true]);
  });

  it.each([60, 1514, 4096, 9014, 65_535])('a frame of %i bytes', async (length) => {
    const { transmit, slotsOf, sent } = await rawFrontend();
    const { data } = someFrame(length);
    expect(await transmit(...slotsOf(data))).toEqual(new Array(Math.ceil(length / 4096)).fill(OKAY));
    expect(sent).toEqual([{ data }]);
  });

  it('with pieces anywhere in their pages', async () => {
    const { transmit, buffer, sent } = await rawFrontend();
    const one = buffer(someFrame(4096).data);
    const two = buffer(someFrame(4096, 3).data);
    await transmit(
      codec.encodeTxRequest({ ref: one.ref, offset: 4000, size: 100, id: 0, flags: abi.NETTXF_more_data }),
      codec.encodeTxRequest({ ref: two.ref, offset: 17, size: 4, id: 1, flags: 0 }),
    );
    expect(sent[0]?.data).toEqual(Uint8Array.from([...one.page.read(4000, 96), ...two.page.read(17, 4)]));
  });

  it('with what it left undone', async () => {
    const { transmit, slotsOf, sent } = await rawFrontend();
    const data = packet({ payload: 3000 });
    await transmit(...slotsOf(data, abi.NETTXF_csum_blank | abi.NETTXF_data_validated));
    await transmit(...slotsOf(data, abi.NETTXF_data_validated));
    const gso = { kind: 'gso' as const, size: 1448, type: abi.XEN_NETIF_GSO_TYPE_TCPV4 };
    expect(await transmit(...slotsOf(data, abi.NETTXF_csum_blank, [gso]))).toEqual([OKAY, NULL]);
    expect(sent).toEqual([
      { data, checksum: 'blank' },
      { data, checksum: 'validated' },
      { data, checksum: 'blank', segmentation: { protocol: 'tcp4', size: 1448 } },
    ]);
  });

  it('no faster than the toolstack allows', async () => {
    const { transmit, slotsOf, sent, fabric, responses, backDirectory } = await rawFrontend({
      backendNodes: { rate: '10000,50000' },
    });
    const frame = someFrame(1000).data;
    for (let i = 0; i < 50; i++) await transmit(...slotsOf(frame));
    expect(sent.length).toBe(10);
    await fabric.advance(50_000_000);
    expect(sent.length).toBe(20);
    await fabric.advance(150_000_000);
    expect([sent.length, responses().length]).toEqual([50, 40]);
    // Without a limit again.
    fabric.store.write(`${backDirectory}/rate`, '');
    await settle();
    for (let i = 0; i < 50; i++) await transmit(...slotsOf(frame));
    expect(sent.length).toBe(100);
  });
});

describe('what a guest gets', () => {
  it.each([60, 1514, 4096, 9014, 65_535])('a frame of %i bytes', async (length) => {
    const { offer, arrive, frames } = await rawFrontend();
    await offer(20);
    arrive(someFrame(length));
    arrive(someFrame(60, 1));
    expect(frames()).toEqual([
      { flags: 0, data: someFrame(length).data },
      { flags: 0, data: someFrame(60, 1).data },
    ]);
  });

  it('waits until there are pages, in order, and not for ever', async () => {
    const { offer, arrive, frames, fabric } = await rawFrontend();
    for (let i = 0; i < 3; i++) arrive(someFrame(5000, i));
    await offer(3);
    expect(frames().map(({ data }) => data[20])).toEqual([someFrame(60, 0).data[20]]);
    await offer(2);
    expect(frames().map(({ data }) => data[20])).toEqual([someFrame(60, 1).data[20]]);
    await fabric.advance(11e9);
    await offer(2);
    expect(frames()).toEqual([]);
    arrive(someFrame(60, 9));
    expect(frames().length).toBe(1);
  });

  it('is dropped when too much waits, and when nobody would tell of new pages', async () => {
    const { offer, arrive, frames } = await rawFrontend({ options: { maxWaitingBytes: 10 * (1000 + 256) } });
    for (let i = 0; i < 1000; i++) arrive(someFrame(1000));
    await offer(100);
    expect(frames().length).toBe(10);
    const mute = await rawFrontend({ nodes: { 'request-rx-copy': 1 } });
    mute.arrive(someFrame(60));
    await mute.offer(5);
    expect(mute.frames()).toEqual([]);
    mute.arrive(someFrame(60));
    expect(mute.frames().length).toBe(1);
  });

  const tcp4 = packet({ payload: 8000 });
  const tcp6 = packet({ version: 6, payload: 8000 });
  it('large frames, with their segments’ size, where it can take them', async () => {
    const { offer, arrive, received } = await rawFrontend();
    await offer(10);
    arrive({ data: tcp6, checksum: 'blank', segmentation: { protocol: 'tcp6', size: 1428 } });
    const slots = received().map(({ slot }) => slot);
    const { NETRXF_csum_blank, NETRXF_data_validated, NETRXF_extra_info, NETRXF_more_data } = abi;
    expect(codec.decodeRxResponse(slots[0]!)).toEqual({
      id: 0,
      offset: 0,
      status: 4096,
      flags: NETRXF_csum_blank | NETRXF_data_validated | NETRXF_extra_info | NETRXF_more_data,
    });
    expect(codec.decodeExtra(slots[1]!)).toEqual({
      extra: { kind: 'gso', size: 1428, type: 2 },
      more: false,
    });
    expect(codec.decodeRxResponse(slots[2]!)).toEqual({
      id: 2,
      offset: 0,
      status: tcp6.length - 4096,
      flags: 0,
    });
  });

  it.each([
    ['cut and summed up', { 'feature-no-csum-offload': 1 }, abi.NETRXF_data_validated],
    ['cut, the checksum blank', {}, abi.NETRXF_data_validated | abi.NETRXF_csum_blank],
  ])('%s, where it cannot', async (_, nodes, flags) => {
    const { offer, arrive, frames } = await rawFrontend({
      nodes: { 'request-rx-copy': 1, 'feature-rx-notify': 1, 'feature-sg': 1, ...nodes },
    });
    await offer(20);
    arrive({ data: tcp4, checksum: 'blank', segmentation: { protocol: 'tcp4', size: 1448 } });
    const got = frames();
    expect(got.map((frame) => [frame.flags, frame.data.length])).toEqual([
      ...new Array(5).fill([flags, 66 + 1448]),
      [flags, 66 + 760],
    ]);
    expect(got.every(({ data }) => isIntact(data))).toBe((flags & abi.NETRXF_csum_blank) === 0);
  });

  it.each([
    [4, { 'feature-no-csum-offload': 1 }, true],
    [4, {}, false],
    [6, {}, true],
    [6, { 'feature-ipv6-csum-offload': 1 }, false],
  ] as const)('the checksum of IPv%i computed with %j: %j', async (version, nodes, isComputed) => {
    const { offer, arrive, frames } = await rawFrontend({
      nodes: { 'request-rx-copy': 1, 'feature-rx-notify': 1, ...nodes },
    });
    await offer(4);
    const data = packet({ version });
    writeBlank(data, findHeaders(data)!);
    arrive({ data, checksum: 'blank' });
    const [got] = frames();
    expect([isIntact(got!.data), (got!.flags & abi.NETRXF_csum_blank) === 0]).toEqual([
      isComputed,
      isComputed,
    ]);
  });

  it('nothing larger than a page without scatter-gather', async () => {
    const { offer, arrive, frames } = await rawFrontend({
      nodes: { 'request-rx-copy': 1, 'feature-rx-notify': 1 },
    });
    await offer(4);
    arrive(someFrame(4097));
    arrive(someFrame(4096));
    expect(frames().map(({ data }) => data.length)).toEqual([4096]);
  });

  it('groups only that it has joined, if it wants control of that', async () => {
    const { offer, arrive, frames, transmit, slotsOf } = await rawFrontend({
      nodes: { ...ALL, 'request-multicast-control': 1 },
    });
    await offer(20);
    const group = someFrame(60).data.slice();
    group.set([1, 0, 0x5e, 0, 0, 1]);
    const count = () => {
      arrive({ data: group });
      return frames().length;
    };
    const address = group.slice(0, 6);
    const message = (operation: 'add' | 'remove') =>
      transmit(...slotsOf(new Uint8Array(1), 0, [{ kind: 'multicast', operation, address }]));
    expect(count()).toBe(0);
    expect(await message('add')).toEqual([OKAY, NULL]);
    expect(count()).toBe(1);
    expect(await message('remove')).toEqual([OKAY, NULL]);
    expect(count()).toBe(0);
    arrive(someFrame(60));
    expect(frames().length).toBe(1);
    for (let i = 0; i < 64; i++) {
      address[5] = 100 + i;
      expect(await message('add')).toEqual([OKAY, NULL]);
    }
    address[5] = 99;
    expect(await message('add')).toEqual([ERROR, NULL]);
  });
});

describe('queues', () => {
  it.each([false, true])('several, with split event channels: %j', async (split) => {
    const { transmit, slotsOf, sent, offer, arrive, frames } = await rawFrontend({ queues: 4, split });
    await transmit(...slotsOf(someFrame(60).data));
    expect(sent.length).toBe(1);
    for (let queue = 0; queue < 4; queue++) await offer(200, queue);
    for (let i = 0; i < 100; i++) {
      const data = packet();
      data[34] = i;
      arrive({ data });
      arrive({ data });
    }
    const counts = [0, 1, 2, 3].map((queue) => frames(queue).map(({ data }) => data[34]));
    expect(counts.flat().length).toBe(200);
    for (const flows of counts) {
      expect(flows.length).toBeGreaterThan(10);
      // A flow stays in its queue.
      expect(flows.filter((flow, i) => i % 2 === 1 && flow !== flows[i - 1])).toEqual([]);
    }
  });

  it('are chosen as the frontend asks over the control ring', async () => {
    const { ask, buffer, offer, arrive, received } = await rawFrontend({ queues: 2, control: true });
    const {
      XEN_NETIF_CTRL_STATUS_SUCCESS: SUCCESS,
      XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER: INVALID,
      XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED: UNSUPPORTED,
      XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW: OVERFLOW,
    } = abi;
    expect(await ask(abi.XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS)).toEqual([UNSUPPORTED, 0]);
    expect(await ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, 3)).toEqual([INVALID, 0]);
    expect(await ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, 2)).toEqual([INVALID, 0]);
    expect(await ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, 1)).toEqual([SUCCESS, 0]);
    expect(await ask(abi.XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS)).toEqual([SUCCESS, 15]);
    expect(await ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, 16)).toEqual([INVALID, 0]);
    expect(await ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, 3)).toEqual([SUCCESS, 0]);
    const key = buffer(Uint8Array.from({ length: 40 }, (_, i) => i * 6 + 1));
    expect(await ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, key.ref, 41)).toEqual([OVERFLOW, 0]);
    expect(await ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, 9999, 40)).toEqual([INVALID, 0]);
    expect(await ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, key.ref, 40)).toEqual([SUCCESS, 0]);
    expect(await ask(abi.XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE)).toEqual([SUCCESS, 128]);
    expect(await ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, 129)).toEqual([INVALID, 0]);
    expect(await ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, 4)).toEqual([SUCCESS, 0]);
    const mapping = buffer(Uint8Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0));
    expect(await ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, mapping.ref, 4, 1)).toEqual([INVALID, 0]);
    expect(await ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, mapping.ref, 5, 0)).toEqual([INVALID, 0]);
    expect(await ask(abi.XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, mapping.ref, 4, 0)).toEqual([SUCCESS, 0]);
    expect(await ask(99)).toEqual([UNSUPPORTED, 0]);
    await offer(4, 0);
    await offer(4, 1);
    arrive({ data: packet() });
    expect(received(0)).toEqual([]);
    const [first, second] = received(1);
    expect(codec.decodeRxResponse(first!.slot).flags).toBe(abi.NETRXF_extra_info);
    expect(codec.decodeExtra(second!.slot).extra).toMatchObject({ kind: 'hash', algorithm: 1, type: 2 });
  });
});

describe('a hostile frontend', () => {
  it.each<[string, (setUp: Awaited<ReturnType<typeof rawFrontend>>) => Uint8Array[], number[]]>([
    [
      'a wild grant',
      () => [codec.encodeTxRequest({ ref: 9999, offset: 0, flags: 0, id: 0, size: 60 })],
      [ERROR],
    ],
    ['too short', ({ slotsOf }) => slotsOf(new Uint8Array(13)), [ERROR]],
    [
      'blank where there is no checksum',
      ({ slotsOf }) => slotsOf(someFrame(60).data, abi.NETTXF_csum_blank),
      [ERROR],
    ],
    [
      'to be cut, and no TCP',
      ({ slotsOf }) => slotsOf(someFrame(60).data, 0, [{ kind: 'gso', size: 1448, type: 1 }]),
      [ERROR, NULL],
    ],
    [
      'to be cut into nothing',
      ({ slotsOf }) => slotsOf(packet(), 0, [{ kind: 'gso', size: 0, type: 1 }]),
      [ERROR, NULL],
    ],
    [
      'to be cut as nobody knows',
      ({ slotsOf }) => slotsOf(packet(), 0, [{ kind: 'gso', size: 1448, type: 3 }]),
      [ERROR, NULL],
    ],
  ])('bad frames are answered with an error, and not sent: %s', async (_, slots, statuses) => {
    const setUp = await rawFrontend();
    expect(await setUp.transmit(...slots(setUp))).toEqual(statuses);
    expect([setUp.sent, setUp.log.length]).toEqual([[], 1]);
    expect(await setUp.transmit(...setUp.slotsOf(someFrame(60).data))).toEqual([OKAY]);
    expect(setUp.sent.length).toBe(1);
  });

  it('is not worth more than ten lines of the log', async () => {
    const { transmit, slotsOf, log } = await rawFrontend();
    for (let i = 0; i < 100; i++) await transmit(...slotsOf(new Uint8Array(13)));
    expect(log.length).toBe(10);
  });

  it.each<[string, (setUp: Awaited<ReturnType<typeof rawFrontend>>) => void]>([
    ['transmit ring', ({ tx }) => tx.page.writeU32(0, 0x8000_0000)],
    [
      'receive ring',
      ({ rx, arrive }) => {
        rx.page.writeU32(0, 0x8000_0000);
        arrive(someFrame(60));
      },
    ],
    [
      'packet is not whole',
      ({ tx, buffer }) => {
        tx.ring.put(
          codec.encodeTxRequest({
            ref: buffer().ref,
            offset: 0,
            flags: abi.NETTXF_more_data,
            id: 0,
            size: 60,
          }),
        );
        tx.ring.push();
      },
    ],
  ])('is served no longer when its %s cannot be believed', async (_, act) => {
    const setUp = await rawFrontend();
    act(setUp);
    setUp.front.eventChannels.send(setUp.txPort);
    await settle();
    expect([setUp.state(), setUp.isUp()]).toEqual(['5', false]);
    expect(setUp.fabric.store.read(`/local/domain/${BACK}/error/backend/vif/1/0/error`)).toContain(
      'no longer',
    );
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
    const { rx, front, rxPort, buffer, arrive } = await rawFrontend();
    const page = front.memory.allocate()!;
    const readonly = front.grants.grantAccess(BACK, page, { readonly: true });
    for (const [id, ref] of [readonly, buffer().ref, buffer().ref].entries())
      rx.ring.put(codec.encodeRxRequest({ id, ref }));
    rx.ring.push();
    front.eventChannels.send(rxPort);
    await settle();
    arrive(someFrame(5000));
    arrive(someFrame(60));
    const statuses = [rx.ring.take()!, rx.ring.take()!, rx.ring.take()!].map(
      (slot) => codec.decodeRxResponse(slot).status,
    );
    expect(statuses).toEqual([ERROR, 5000 - 4096, 60]);
  });

  it('without rx-copy is refused', async () => {
    const { state, fabric } = await rawFrontend({ nodes: {} });
    expect(state()).toBe('5');
    expect(fabric.store.read(`/local/domain/${BACK}/error/backend/vif/1/0/error`)).toContain('rx-copy');
  });

  it('dies while its frames wait for credit', async () => {
    const { transmit, slotsOf, fabric, back, sent } = await rawFrontend({
      backendNodes: { rate: '1000,50000' },
    });
    await transmit(...slotsOf(someFrame(1514).data));
    fabric.removeGuest(FRONT);
    await fabric.advance(1e9);
    fabric.store.rm(`/local/domain/${BACK}/backend/vif/${FRONT}`);
    await fabric.advance(1e9);
    expect([back.openPorts, sent.length, back.pagesInUse]).toEqual([0, 0, 0]);
  });

  it('whatever it does, others are served and the backend stays small', async () => {
    await fc.assert(fc.asyncProperty(fc.array(mischief, { minLength: 1, maxLength: 25 }), survives), {
      numRuns: 40,
    });
  }, 60_000);
});

const mischief = fc.oneof(
  fc.record({
    kind: fc.constant('word' as const),
    ring: fc.constantFrom('tx' as const, 'rx' as const),
    at: fc.integer({ min: 0, max: 1023 }),
    value: fc.integer(),
  }),
  fc.record({
    kind: fc.constant('slots' as const),
    bytes: fc.uint8Array({ minLength: 12, maxLength: 120 }),
    advance: fc.integer({ min: 0, max: 40 }),
  }),
  fc.record({
    kind: fc.constant('frame' as const),
    flags: fc.nat(15),
    size: fc.nat(0xffff),
    gso: fc.nat(0xffff),
    type: fc.nat(5),
    more: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('arrive' as const),
    count: fc.nat(60),
    length: fc.constantFrom(60, 1514, 60_000),
  }),
  fc.record({ kind: fc.constant('state' as const), value: fc.integer({ min: 0, max: 8 }) }),
  fc.record({
    kind: fc.constant('node' as const),
    name: fc.constantFrom(
      'tx-ring-ref',
      'event-channel',
      'event-channel-tx',
      'multi-queue-num-queues',
      'queue-0/tx-ring-ref',
      'request-rx-copy',
      'feature-sg',
      'ctrl-ring-ref',
    ),
    value: fc.oneof(
      fc.string({ maxLength: 20 }).map((text) => text.replaceAll('\0', '0')),
      fc.nat().map(String),
    ),
  }),
  fc.record({ kind: fc.constant('events' as const), count: fc.integer({ min: 1, max: 50 }) }),
  fc.record({ kind: fc.constant('revoke' as const) }),
);

type Mischief = typeof mischief extends fc.Arbitrary<infer T> ? T : never;

async function survives(steps: readonly Mischief[]): Promise<void> {
  const { fabric, front, back, tx, rx, txPort, directory, buffer, arrive, log, transmit } = await rawFrontend(
    { control: true },
  );
  const neighbour = await addNeighbour(fabric, back);
  const { ref } = buffer(packet());
  for (const step of steps) {
    if (step.kind === 'word') (step.ring === 'tx' ? tx : rx).page.writeU32(step.at * 4, step.value >>> 0);
    else if (step.kind === 'slots') {
      tx.page.write(64, step.bytes);
      tx.page.writeU32(0, (tx.page.readU32(0) + step.advance) >>> 0);
    } else if (step.kind === 'frame') {
      const { flags, size, gso, type, more } = step;
      if (tx.ring.free < 3) continue;
      await transmit(
        codec.encodeTxRequest({ ref, offset: 0, flags, id: 0, size }),
        codec.encodeExtra({ kind: 'gso', size: gso, type }, more),
        codec.encodeTxRequest({ ref, offset: 0, flags: 0, id: 1, size: 54 }),
      );
    } else if (step.kind === 'arrive') for (let i = 0; i < step.count; i++) arrive(someFrame(step.length));
    else if (step.kind === 'state') fabric.store.write(`${directory}/state`, String(step.value));
    else if (step.kind === 'node') fabric.store.write(`${directory}/${step.name}`, step.value);
    else if (step.kind === 'events') for (let i = 0; i < step.count; i++) front.eventChannels.send(txPort);
    else front.grants.endAccess(ref);
    front.eventChannels.send(txPort);
    await fabric.advance(100_000);
  }
  expect(front.grantsInUse).toBeLessThanOrEqual(9);
  expect(back.openPorts).toBeLessThanOrEqual(10);
  expect(back.pagesInUse).toBeLessThanOrEqual(2);
  expect(log.length).toBeLessThanOrEqual(10 * (steps.length + 1));
  await neighbour();
}

/** Another guest with a vif of the same backend. @returns does some work with it */
async function addNeighbour(fabric: Fabric, back: FabricGuest): Promise<() => Promise<void>> {
  const other = fabric.addGuest(3);
  const { driver, exercise } = netPair().frontend(other);
  serveFrontends(other, driver);
  await addDevice(fabric.toolstack, {
    type: 'vif',
    id: 1,
    frontendId: 3,
    backendId: back.domid,
    frontend: { mac: '00:16:3e:00:00:03' },
  });
  await fabric.advance(1_000_000);
  return async () => {
    const work = exercise('1');
    await fabric.advance(1_000_000_000);
    await work;
  };
}
