import { addDevice } from '@xenolith/xenbus';
import type { Fabric, FabricGuest } from '@xenolith/xenbus/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import * as codec from '../codec/index.js';
import { packet } from '../frame/testing.js';
import { netPair, someFrame } from '../testing/net-pair.js';
import { rawFrontend } from '../testing/raw-frontend.js';

it('whatever it does, others are served and the backend stays small', async () => {
  await fc.assert(fc.asyncProperty(fc.array(mischief, { minLength: 1, maxLength: 25 }), survives), {
    numRuns: 40,
  });
}, 60_000);

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
  const { fabric, front, back, directory, arrive, log, queue } = await rawFrontend({ control: true });
  const neighbour = await addNeighbour(fabric, back);
  const { ref } = queue.buffer(packet());
  for (const step of steps) {
    if (step.kind === 'word') queue[step.ring].page.writeU32(step.at * 4, step.value >>> 0);
    else if (step.kind === 'slots') {
      queue.tx.page.write(64, step.bytes);
      queue.tx.page.writeU32(0, (queue.tx.page.readU32(0) + step.advance) >>> 0);
    } else if (step.kind === 'frame') {
      const { flags, size, gso, type, more } = step;
      if (queue.tx.ring.free < 3) continue;
      await queue.transmit(
        codec.encodeTxRequest({ ref, offset: 0, flags, id: 0, size }),
        codec.encodeExtra({ kind: 'gso', size: gso, type }, more),
        codec.encodeTxRequest({ ref, offset: 0, flags: 0, id: 1, size: 54 }),
      );
    } else if (step.kind === 'arrive') for (let i = 0; i < step.count; i++) arrive(someFrame(step.length));
    else if (step.kind === 'state') fabric.store.write(`${directory}/state`, String(step.value));
    else if (step.kind === 'node') fabric.store.write(`${directory}/${step.name}`, step.value);
    else if (step.kind === 'events')
      for (let i = 0; i < step.count; i++) front.eventChannels.send(queue.txPort);
    else front.grants.endAccess(ref);
    front.eventChannels.send(queue.txPort);
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
  const { exercise } = netPair().frontend(other);
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
