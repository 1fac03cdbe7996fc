import { addDevice } from '@xenolith/xenbus';
import type { Fabric, FabricGuest } from '@xenolith/xenbus/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import * as codec from '../codec/index.js';
import { packet } from '../frame/testing.js';
import { netPair, someFrame } from '../testing/net-pair.js';
import { type RawFrontend, rawFrontend } from '../testing/raw-frontend.js';

/** What a hostile guest may do, a step at a time. Each kind is done by the function of `DEEDS` with its name. */
const mischief = fc.oneof(
  // Any word of a shared page, so the indices, too.
  fc.record({
    kind: fc.constant('word' as const),
    ring: fc.constantFrom('tx' as const, 'rx' as const, 'control' as const),
    at: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 1023 })),
    value: fc.oneof(fc.integer(), fc.integer({ min: -300, max: 300 })),
  }),
  // Slots of any bytes.
  fc.record({
    kind: fc.constant('slots' as const),
    ring: fc.constantFrom('tx' as const, 'rx' as const, 'control' as const),
    bytes: fc.uint8Array({ minLength: 12, maxLength: 120 }),
    advance: fc.integer({ min: 0, max: 40 }),
  }),
  // Packets that are nearly right.
  fc.record({
    kind: fc.constant('packet' as const),
    flags: fc.nat(15),
    size: fc.nat(0xffff),
    gso: fc.nat(0xffff),
    type: fc.nat(5),
    more: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('message' as const),
    type: fc.nat(8),
    data: fc.array(fc.oneof(fc.nat(200), fc.integer()), { minLength: 3, maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('offer' as const), count: fc.nat(60) }),
  // The network has frames for it.
  fc.record({
    kind: fc.constant('arrive' as const),
    count: fc.nat(60),
    length: fc.constantFrom(60, 1514, 60_000),
    large: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('state' as const), value: fc.integer({ min: 0, max: 8 }) }),
  fc.record({
    kind: fc.constant('node' as const),
    name: fc.constantFrom(
      'tx-ring-ref',
      'rx-ring-ref',
      'event-channel',
      'event-channel-tx',
      'event-channel-rx',
      'event-channel-ctrl',
      'multi-queue-num-queues',
      'queue-0/tx-ring-ref',
      'queue-0/event-channel',
      'request-rx-copy',
      'request-multicast-control',
      'feature-sg',
      'feature-rx-notify',
      'ctrl-ring-ref',
    ),
    value: fc.oneof(
      fc.string({ maxLength: 20 }).map((text) => text.replaceAll('\0', '0')),
      fc.nat(20).map(String),
      fc.nat().map(String),
    ),
  }),
  fc.record({ kind: fc.constant('events' as const), count: fc.integer({ min: 1, max: 50 }) }),
  fc.record({ kind: fc.constant('revoke' as const) }),
  fc.record({ kind: fc.constant('restart' as const) }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(20_000) }),
);
type Mischief = typeof mischief extends fc.Arbitrary<infer T> ? T : never;

type Deeds = {
  [Kind in Mischief['kind']]: (
    of: RawFrontend,
    step: Extract<Mischief, { kind: Kind }>,
    ref: number,
  ) => void | Promise<void>;
};
const DEEDS: Deeds = {
  word: (of, { ring, at, value }) => pageOf(of, ring).writeU32(at * 4, value >>> 0),
  slots(of, { ring, bytes, advance }) {
    const page = pageOf(of, ring);
    page.write(64, bytes);
    page.writeU32(0, (page.readU32(0) + advance) >>> 0);
  },
  packet({ queue }, { flags, size, gso, type, more }, ref) {
    if (queue.tx.ring.free < 3) return;
    queue.tx.ring.put(codec.encodeTxRequest({ ref, offset: 0, flags, id: 0, size }));
    queue.tx.ring.put(codec.encodeExtra({ kind: 'gso', size: gso, type }, more));
    queue.tx.ring.put(codec.encodeTxRequest({ ref, offset: 0, flags: 0, id: 1, size: 54 }));
    queue.tx.ring.push();
  },
  message({ control }, { type, data }) {
    control.ring.ring.put(codec.encodeControlRequest({ id: 1, type, data: data.map((word) => word >>> 0) }));
    control.ring.ring.push();
  },
  offer: ({ queue }, { count }) => queue.offer(Math.min(count, queue.rx.ring.free)),
  arrive({ arrive }, { count, length, large }) {
    const frame = large
      ? {
          data: packet({ payload: length }),
          checksum: 'blank' as const,
          segmentation: { protocol: 'tcp4' as const, size: 1448 },
        }
      : someFrame(length);
    for (let i = 0; i < count; i++) arrive(frame);
  },
  state: ({ write }, { value }) => write({ state: value }),
  node: ({ write }, { name, value }) => write({ [name]: value }),
  events({ front, queue }, { count }) {
    for (let i = 0; i < count; i++) front.eventChannels.send(queue.txPort);
  },
  revoke: ({ front }, _, ref) => void front.grants.endAccess(ref),
  async restart({ write, fabric }) {
    for (const state of [6, 1, 4]) {
      write({ state });
      await fabric.advance(1e6);
    }
  },
  wait: ({ fabric }, { ms }) => fabric.advance(ms * 1e6),
};

const pageOf = ({ queue, control }: RawFrontend, ring: 'tx' | 'rx' | 'control') =>
  (ring === 'control' ? control.ring : queue[ring]).page;

/** Another guest with a vif of the same backend. @returns does some work with it */
async function addNeighbour(fabric: Fabric, back: FabricGuest): Promise<() => Promise<void>> {
  const other = fabric.addGuest(3);
  const { exercise } = netPair().frontend(other);
  await addDevice(fabric.toolstack, {
    type: 'vif',
    id: 1,
    frontendId: 3,
    backendId: back.domid,
    frontend: { mac: '00:16:3e:00:00:03' },
  });
  await fabric.advance(1e6);
  return async () => {
    const work = exercise('1');
    await fabric.advance(1e9);
    await work;
  };
}

/** Does all of it, and sees whether the backend stays small and serves its neighbour. @returns what came of it */
async function survive(queues: number, steps: readonly Mischief[]): Promise<unknown> {
  const of = await rawFrontend({ queues, split: queues > 1, control: true });
  const { fabric, front, back, queue, log, statistics, sent } = of;
  const neighbour = await addNeighbour(fabric, back);
  const { ref } = queue.buffer(packet());
  const course: unknown[] = [];
  for (const step of steps) {
    await (DEEDS[step.kind] as (of: RawFrontend, step: Mischief, ref: number) => void)(of, step, ref);
    for (const port of [queue.txPort, queue.rxPort, of.control.port]) front.eventChannels.send(port);
    await fabric.advance(100_000);
    course.push([of.state(), of.isUp(), sent.length, { ...statistics }]);
    // Two rings for each queue and one for control; what it sends and is owed is copied.
    expect(front.grantsInUse).toBeLessThanOrEqual(2 * 4 + 1);
    expect(back.pagesInUse).toBeLessThanOrEqual(2);
    // Two event channels for each queue and one for control; the neighbour has one.
    expect(back.openPorts).toBeLessThanOrEqual(2 * 4 + 1 + 1);
  }
  // Ten lines for bad packets, and one for each connection that was ended.
  expect(log.length).toBeLessThanOrEqual(10 + 3 * (steps.length + 1));
  await neighbour();
  return { course, log };
}

it('whatever a frontend does, others are served and the backend stays small; and it happens again the same way', async () => {
  const steps = fc.array(mischief, { minLength: 1, maxLength: 25 });
  const property = fc.asyncProperty(fc.integer({ min: 1, max: 3 }), steps, async (queues, all) => {
    expect(await survive(queues, all)).toEqual(await survive(queues, all));
  });
  await fc.assert(property, { numRuns: 60 });
}, 120_000);
