import { x86_32, x86_64 } from '@xenolith/xen-abi';
import { addDevice } from '@xenolith/xenbus';
import type { Fabric, FabricGuest } from '@xenolith/xenbus/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type BlockRequest, encodeRequest, encodeSegments } from '../codec/index.js';
import type { BlockDevice } from '../devices/block-device.js';
import { MemoryDevice } from '../devices/memory-device.js';
import { OverlayDevice } from '../devices/overlay.js';
import { blockPair } from '../testing/block-pair.js';
import { BACK, rawFrontend } from '../testing/raw-frontend.js';

const SIZE = 1 << 20;
const small = fc.nat({ max: 12 });
/** Sectors at both ends of the disk, and where there is none. */
const sector = fc.oneof(
  fc.nat({ max: 40 }).map(BigInt),
  fc.nat({ max: 40 }).map((n) => BigInt(SIZE / 512 - 20 + n)),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
/** Which of the frontend's grants: good ones, read-only, another's, its ring, wild. */
const grant = fc.constantFrom('good', 'good', 'good', 'good', 'readonly', 'foreign', 'ring', 'list', 'wild');
const whole = fc.record({ grant, first: fc.constant(0), last: fc.constant(7) });
const segment = fc.oneof(
  { weight: 6, arbitrary: whole },
  { weight: 1, arbitrary: fc.record({ grant, first: small, last: small }) },
);
/** What is claimed beyond the segments that there are. */
const excess = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: -11, max: 600 }) },
);

/** What a hostile guest may do, a step at a time. */
const mischief = fc.oneof(
  // Requests that are nearly right.
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('request' as const),
      operation: fc.constantFrom('read' as const, 'write' as const, 'barrier' as const, 'flush' as const),
      sector,
      excess,
      segments: fc.array(segment, { maxLength: 11 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('indirect' as const),
      operation: fc.oneof(fc.constantFrom(0, 1), fc.nat({ max: 6 })),
      sector,
      excess,
      segments: fc.array(segment, { maxLength: 20 }),
      list: fc.oneof(fc.constant('list'), grant),
      // What the list is changed to while the request is done.
      later: fc.array(segment, { maxLength: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('discard' as const),
      sector,
      sectors: fc.oneof(small.map(BigInt), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
      secure: fc.boolean(),
    }),
  },
  // Any word of the ring, so the indices, too.
  fc.record({
    kind: fc.constant('word' as const),
    at: fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 1023 })),
    value: fc.oneof(fc.integer(), fc.integer({ min: -100, max: 100 })),
  }),
  // Slots of any bytes.
  fc.record({
    kind: fc.constant('slots' as const),
    bytes: fc.uint8Array({ minLength: 112, maxLength: 112 }),
    advance: fc.integer({ min: 0, max: 40 }),
  }),
  fc.record({ kind: fc.constant('state' as const), value: fc.integer({ min: 0, max: 8 }) }),
  fc.record({
    kind: fc.constant('node' as const),
    name: fc.constantFrom(
      'ring-ref',
      'ring-ref0',
      'event-channel',
      'protocol',
      'multi-queue-num-queues',
      'ring-page-order',
      'feature-persistent',
      'queue-0/ring-ref',
    ),
    value: fc.oneof(
      fc.string({ maxLength: 20 }).map((text) => text.replaceAll('\0', '0')),
      fc.nat().map(String),
      fc.nat({ max: 12 }).map(String),
    ),
  }),
  // Begins anew with what is right.
  fc.record({ kind: fc.constant('again' as const) }),
  fc.record({ kind: fc.constant('events' as const), count: fc.integer({ min: 1, max: 50 }) }),
  fc.record({ kind: fc.constant('revoke' as const), grant }),
);

type Mischief = typeof mischief extends fc.Arbitrary<infer T> ? T : never;

it('whatever a frontend does, others are served and the backend stays small', async () => {
  const setUp = fc.record({
    abi: fc.constantFrom(x86_64, x86_32),
    persistent: fc.boolean(),
    slow: fc.boolean(),
  });
  await fc.assert(fc.asyncProperty(setUp, fc.array(mischief, { minLength: 1, maxLength: 25 }), survives), {
    numRuns: 100,
  });
}, 120_000);

async function survives(
  { abi, persistent, slow }: { abi: typeof x86_64 | typeof x86_32; persistent: boolean; slow: boolean },
  steps: readonly Mischief[],
): Promise<void> {
  const memory = new MemoryDevice(SIZE);
  const nodes: Record<string, number> = { 'feature-persistent': persistent ? 1 : 0 };
  const { device, wrong } = checked(slow ? new OverlayDevice(memory) : memory);
  const frontend = await rawFrontend({ abi, nodes, device });
  const { fabric, front, back, memory: ring, port, directory, buffer, backDirectory } = frontend;
  const neighbour = await addNeighbour(fabric, back);
  const right = Object.fromEntries(
    ['ring-ref', 'event-channel', 'protocol'].map((name) => [
      name,
      fabric.store.read(`${directory}/${name}`),
    ]),
  );
  const list = buffer();
  const grants = {
    good: buffer(7).ref,
    readonly: front.grants.grantAccess(BACK, front.memory.allocate()!, { readonly: true }),
    foreign: front.grants.grantAccess(BACK + 1, front.memory.allocate()!),
    ring: Number(right['ring-ref']),
    list: list.ref,
    wild: 0xdead_beef,
  };
  type Named = { grant: string; first: number; last: number };
  const named = (segments: readonly Named[]) =>
    segments.map(({ grant, first, last }) => ({ ref: grants[grant as keyof typeof grants], first, last }));
  /** As a frontend would, but without looking whether there is room. */
  const put = (request: BlockRequest): void => {
    const slot = encodeRequest(request, 1, abi);
    const producer = ring.readU32(0);
    ring.write(64 + (producer % 32) * slot.length, slot);
    ring.writeU32(0, (producer + 1) >>> 0);
  };
  const deeds: { [K in Mischief['kind']]: (step: Mischief & { kind: K }) => void } = {
    word: ({ at, value }) => ring.writeU32(at * 4, value >>> 0),
    slots({ bytes, advance }) {
      ring.write(64, bytes);
      ring.writeU32(0, (ring.readU32(0) + advance) >>> 0);
    },
    request: ({ operation, sector, excess, segments }) =>
      put({
        kind: operation,
        id: 1n,
        sector,
        claimed: (segments.length + excess) & 0xff,
        segments: named(segments),
      }),
    indirect({ operation, sector, excess, segments, list: first, later }) {
      list.page.write(0, encodeSegments(named(segments)));
      const refs = [first, 'list', 'wild', 'good', 'wild', 'list', 'ring', 'foreign'].map(
        (name) => grants[name as keyof typeof grants],
      );
      const claimed = (segments.length + excess) & 0xffff;
      put({ kind: 'indirect', id: 2n, sector, operation, claimed, refs });
      front.eventChannels.send(port);
      queueMicrotask(() => list.page.write(0, encodeSegments(named(later))));
    },
    discard: ({ sector, sectors, secure }) => put({ kind: 'discard', id: 3n, sector, sectors, secure }),
    state: ({ value }) => fabric.store.write(`${directory}/state`, String(value)),
    node: ({ name, value }) => fabric.store.write(`${directory}/${name}`, value),
    again() {
      for (const [name, value] of Object.entries(right)) fabric.store.write(`${directory}/${name}`, value);
      for (const state of [6, 1, 3]) fabric.store.write(`${directory}/state`, String(state));
    },
    events({ count }) {
      for (let i = 0; i < count; i++) front.eventChannels.send(port);
    },
    revoke: ({ grant }) => void front.grants.endAccess(grants[grant as keyof typeof grants]),
  };
  for (const step of steps) {
    (deeds[step.kind] as (step: Mischief) => void)(step);
    front.eventChannels.send(port);
    await fabric.advance(100_000);
  }
  expect(front.grantsInUse).toBeLessThanOrEqual(1100);
  expect(back.openPorts).toBeLessThanOrEqual(6);
  expect(wrong).toEqual([]);
  await neighbour();
  // Nothing is kept of what is gone.
  fabric.store.rm(backDirectory);
  await fabric.advance(1e9);
  expect([front.grantsInUse, back.openPorts]).toEqual([0, 1]);
}

/** A device, and what it was asked for that no caller may ask. */
function checked(device: BlockDevice): { device: BlockDevice; wrong: string[] } {
  const wrong: string[] = [];
  const check = (what: string, offset: number, length: number): void => {
    if (offset % 512 || length % 512 || !(offset >= 0 && length > 0 && offset + length <= device.size))
      wrong.push(`${what} of ${length} bytes at ${offset}`);
  };
  const to: BlockDevice = {
    size: device.size,
    readonly: false,
    read(offset, length) {
      check('read', offset, length);
      return device.read(offset, length);
    },
    write(offset, data) {
      check('write', offset, data.length);
      return device.write(offset, data);
    },
    discard(offset, length) {
      check('discard', offset, length);
      return device.discard?.(offset, length);
    },
    flush: () => device.flush(),
  };
  return { device: to, wrong };
}

/** Another guest with a disk of the same backend. @returns does some work with it */
async function addNeighbour(fabric: Fabric, back: FabricGuest): Promise<() => Promise<void>> {
  const other = fabric.addGuest(3);
  const { exercise } = blockPair().frontend(other);
  await addDevice(fabric.toolstack, {
    type: 'vbd',
    id: 1,
    frontendId: 3,
    backendId: back.domid,
    backend: { params: 'disk', mode: 'w' },
  });
  await fabric.advance(1_000_000);
  return async () => {
    const work = exercise('1');
    await fabric.advance(1_000_000_000);
    await work;
  };
}
