import type { OwnPage } from '@xenolith/guest-api';
import { FrontRing } from '@xenolith/shared-ring';
import { BLKIF_RSP_EOPNOTSUPP, BLKIF_RSP_ERROR, BLKIF_RSP_OKAY, x86_32, x86_64 } from '@xenolith/xen-abi';
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
import {
  type BlockRequest,
  decodeResponse,
  encodeRequest,
  encodeSegments,
  slotSize,
} from '../codec/index.js';
import type { BlockDevice } from '../devices/block-device.js';
import { MemoryDevice } from '../devices/memory-device.js';
import { OverlayDevice } from '../devices/overlay.js';
import { blockPair } from '../testing.js';
import { type BlockBackendOptions, blockBackend } from './block-backend.js';

describe('the backend keeps the handshake', () => {
  for (const { name, run } of backendCompliance) it(name, () => run(blockPair()));
});
describe('the backend keeps it with a device that takes its time', () => {
  const slow = blockPair({}, () => new OverlayDevice(new MemoryDevice(1 << 20)));
  for (const { name, run } of backendCompliance) it(name, () => run(slow));
});
describe('the frontend keeps the handshake', () => {
  for (const { name, run } of frontendCompliance) it(name, () => run(blockPair()));
});

const FRONT = 1;
const BACK = 2;

interface SetUp {
  options?: Partial<BlockBackendOptions>;
  device?: BlockDevice;
  nodes?: Record<string, string | number>;
  backendNodes?: Record<string, string | number>;
  abi?: typeof x86_64 | typeof x86_32;
  ringPages?: number;
}

/** A frontend that a test writes by hand: it may say whatever it likes. */
async function rawFrontend(setUp: SetUp = {}) {
  const { abi = x86_64, ringPages = 1, device = new MemoryDevice(1 << 20) } = setUp;
  const fabric = new Fabric();
  const front = fabric.addGuest(FRONT);
  const back = fabric.addGuest(BACK);
  const log: string[] = [];
  serveBackends(
    back,
    blockBackend(back, {
      open: async () => device,
      log: { log: (_level, _part, message) => log.push(message) },
      ...setUp.options,
    }),
  );
  const spec: DeviceSpec = {
    type: 'vbd',
    id: 51712,
    frontendId: FRONT,
    backendId: BACK,
    backend: { params: 'disk', mode: 'w', ...setUp.backendNodes },
    frontend: { 'virtual-device': 51712 },
  };
  await addDevice(fabric.toolstack, spec);
  await settle();
  const pages = Array.from({ length: ringPages }, () => front.memory.allocate()!);
  const refs = pages.map((page) => front.grants.grantAccess(BACK, page));
  const memory = joined(pages);
  const ring = new FrontRing(memory, { slotSize: slotSize(abi), bytes: ringPages * 4096 });
  const port = front.eventChannels.allocUnbound(BACK);
  const directory = `/local/domain/${FRONT}/device/vbd/51712`;
  const backDirectory = `/local/domain/${BACK}/backend/vbd/${FRONT}/51712`;
  const ringNodes: Record<string, number> =
    ringPages === 1
      ? { 'ring-ref': refs[0]! }
      : {
          'ring-page-order': Math.log2(ringPages),
          ...Object.fromEntries(refs.map((ref, i) => [`ring-ref${i}`, ref])),
        };
  const nodes = {
    ...ringNodes,
    'event-channel': port,
    protocol: abi.name === 'x86_32' ? 'x86_32-abi' : 'x86_64-abi',
    ...setUp.nodes,
  };
  for (const [name, value] of Object.entries(nodes))
    fabric.store.write(`${directory}/${name}`, String(value));
  fabric.store.write(`${directory}/state`, '3');
  await settle();

  const responses: { id: bigint; status: number; operation: number }[] = [];
  const collect = () => {
    for (let slot = ring.take(); slot; slot = ring.take()) responses.push(decodeResponse(slot, abi));
    ring.finalCheck();
  };
  /** Puts requests in, lets time pass, and gives the responses that came. */
  const exchange = async (requests: readonly BlockRequest[]) => {
    for (const request of requests) ring.put(encodeRequest(request, 51712, abi));
    ring.push();
    front.eventChannels.send(port);
    await fabric.advance(10_000_000);
    collect();
    return responses.splice(0);
  };
  const buffer = (fill = 0) => {
    const page = front.memory.allocate()!;
    page.write(0, new Uint8Array(4096).fill(fill));
    return { page, ref: front.grants.grantAccess(BACK, page) };
  };
  const state = () => fabric.store.readIfExists(`${backDirectory}/state`);
  return {
    fabric,
    front,
    back,
    device,
    memory,
    ring,
    port,
    exchange,
    buffer,
    state,
    log,
    directory,
    backDirectory,
    spec,
  };
}

function joined(pages: readonly OwnPage[]) {
  const at = (offset: number) => [pages[Math.floor(offset / 4096)]!, offset % 4096] as const;
  return {
    readU32: (offset: number) => at(offset)[0].readU32(at(offset)[1]),
    writeU32: (offset: number, value: number) => at(offset)[0].writeU32(at(offset)[1], value),
    read: (offset: number, length: number) =>
      Uint8Array.from({ length }, (_, i) => at(offset + i)[0].readU8(at(offset + i)[1])),
    write(offset: number, data: Uint8Array) {
      for (const [i, byte] of data.entries()) at(offset + i)[0].writeU8(at(offset + i)[1], byte);
    },
  };
}

const transfer = (
  kind: 'read' | 'write' | 'barrier',
  sector: number,
  ref: number,
  id = 1n,
): BlockRequest => ({
  kind,
  id,
  sector: BigInt(sector),
  segments: [{ ref, first: 0, last: 7 }],
  claimed: 1,
});

describe('a disk', () => {
  it('offers what it can do, and tells its size when it is connected', async () => {
    const { fabric, backDirectory } = await rawFrontend();
    const node = (name: string) => fabric.store.readIfExists(`${backDirectory}/${name}`);
    expect(
      [
        'sectors',
        'sector-size',
        'info',
        'feature-flush-cache',
        'feature-barrier',
        'feature-discard',
        'feature-persistent',
      ].map(node),
    ).toEqual(['2048', '512', '0', '1', '1', '1', '1']);
    expect(
      ['feature-max-indirect-segments', 'max-ring-page-order', 'multi-queue-max-queues'].map(node),
    ).toEqual(['256', '4', '4']);
  });

  it.each([
    [x86_64, 1],
    [x86_32, 1],
    [x86_64, 4],
    [x86_32, 16],
  ])('reads what it wrote: %o, ring of %i pages', async (abi, ringPages) => {
    const { exchange, buffer, ring } = await rawFrontend({ abi, ringPages });
    const out = buffer(0xa5);
    const into = buffer();
    for (let round = 0; round < 3 * ring.size; round += ring.size) {
      const requests = Array.from({ length: ring.size }, (_, i) =>
        transfer('write', (8 * i) % 2048, out.ref, BigInt(i)),
      );
      const answers = await exchange(requests);
      expect(answers.map(({ id }) => Number(id)).sort((a, b) => a - b)).toEqual(requests.map((_, i) => i));
      expect(answers.every(({ status }) => status === BLKIF_RSP_OKAY)).toBe(true);
    }
    expect(await exchange([transfer('read', 8, into.ref, 2n ** 63n)])).toEqual([
      { id: 2n ** 63n, operation: 0, status: 0 },
    ]);
    expect(into.page.read(0, 4096)).toEqual(new Uint8Array(4096).fill(0xa5));
  });

  it('indirect requests', async () => {
    const { exchange, buffer, device } = await rawFrontend();
    const data = Array.from({ length: 40 }, (_, i) => buffer(i + 1));
    const list = buffer();
    list.page.write(0, encodeSegments(data.map(({ ref }) => ({ ref, first: 0, last: 7 }))));
    const request: BlockRequest = {
      kind: 'indirect',
      id: 5n,
      sector: 16n,
      operation: 1,
      claimed: 40,
      refs: [list.ref, 0, 0, 0, 0, 0, 0, 0],
    };
    expect(await exchange([request])).toEqual([{ id: 5n, operation: 1, status: 0 }]);
    expect((await device.read(8192 + 39 * 4096, 512))[0]).toBe(40);
  });

  it('several queues', async () => {
    const { state, fabric, front, directory } = await rawFrontend({ nodes: { 'multi-queue-num-queues': 2 } });
    // The first attempt lacks queue-0 and queue-1.
    expect(state()).toBe('5');
    fabric.store.write(`${directory}/state`, '6');
    await settle();
    fabric.store.write(`${directory}/state`, '1');
    await settle();
    const rings = [0, 1].map((i) => {
      const page = front.memory.allocate()!;
      const ring = new FrontRing(page, { slotSize: 112 });
      const port = front.eventChannels.allocUnbound(BACK);
      fabric.store.write(`${directory}/queue-${i}/ring-ref`, String(front.grants.grantAccess(BACK, page)));
      fabric.store.write(`${directory}/queue-${i}/event-channel`, String(port));
      return { ring, port };
    });
    fabric.store.write(`${directory}/state`, '3');
    await settle();
    expect(state()).toBe('4');
    for (const { ring, port } of rings) {
      ring.put(encodeRequest({ kind: 'flush', id: 3n, sector: 0n, segments: [], claimed: 0 }, 1));
      ring.push();
      front.eventChannels.send(port);
      await settle();
      expect(decodeResponse(ring.take()!)).toEqual({ id: 3n, operation: 3, status: 0 });
    }
  });

  it('a barrier is done after what was before it and before what is behind it', async () => {
    const order: string[] = [];
    const release: (() => void)[] = [];
    const device: BlockDevice = {
      size: 1 << 20,
      readonly: false,
      read: (_, length) => new Uint8Array(length),
      write(offset) {
        order.push(`write ${offset / 4096} begins`);
        return new Promise((resolve) =>
          release.push(() => {
            order.push(`write ${offset / 4096} ends`);
            resolve();
          }),
        );
      },
      flush: async () => void order.push('flush'),
    };
    const { exchange, buffer } = await rawFrontend({ device });
    const { ref } = buffer();
    await exchange([
      transfer('write', 0, ref, 1n),
      transfer('barrier', 8, ref, 2n),
      transfer('write', 16, ref, 3n),
    ]);
    expect(order).toEqual(['write 0 begins']);
    for (let i = 0; i < 3; i++) {
      release.shift()?.();
      await exchange([]);
    }
    expect(order).toEqual([
      'write 0 begins',
      'write 0 ends',
      'flush',
      'write 1 begins',
      'write 1 ends',
      'flush',
      'write 2 begins',
      'write 2 ends',
    ]);
  });

  it('keeps at most so many grants mapped', async () => {
    const { exchange, buffer, front } = await rawFrontend({
      options: { maxPersistentGrants: 5 },
      nodes: { 'feature-persistent': 1 },
    });
    const buffers = Array.from({ length: 20 }, () => buffer(3));
    for (const { ref } of buffers) {
      await exchange([transfer('write', 0, ref)]);
      // The ring is the sixth.
      expect(front.grantsInUse).toBeLessThanOrEqual(6);
    }
    expect(front.grantsInUse).toBe(6);
  });

  it('maps for one request only what is not persistent', async () => {
    const { exchange, buffer, front } = await rawFrontend();
    await exchange([transfer('write', 0, buffer().ref)]);
    expect(front.grantsInUse).toBe(1);
  });

  it('discards', async () => {
    const { exchange, device } = await rawFrontend();
    await device.write(0, new Uint8Array(8192).fill(9));
    const discard: BlockRequest = { kind: 'discard', id: 1n, sector: 0n, sectors: 8n, secure: false };
    expect(await exchange([discard])).toEqual([{ id: 1n, operation: 5, status: BLKIF_RSP_OKAY }]);
    expect([(await device.read(0, 512))[0], (await device.read(4096, 512))[0]]).toEqual([0, 9]);
  });

  it('a device that fails is an error of that request', async () => {
    const device = Object.assign(new MemoryDevice(1 << 20), {
      read: async (): Promise<Uint8Array> => Promise.reject(new Error('the platter is scratched')),
    });
    const { exchange, buffer, log } = await rawFrontend({ device });
    const { ref } = buffer();
    expect(await exchange([transfer('read', 0, ref, 1n), transfer('write', 0, ref, 2n)])).toEqual(
      expect.arrayContaining([
        { id: 1n, operation: 0, status: BLKIF_RSP_ERROR },
        { id: 2n, operation: 1, status: BLKIF_RSP_OKAY },
      ]),
    );
    expect(log.join('\n')).toContain('the platter is scratched');
  });

  it('read-only: by mode, or because the device is', async () => {
    const byMode = await rawFrontend({ backendNodes: { mode: 'r' } });
    const byDevice = await rawFrontend({
      device: Object.assign(new MemoryDevice(1 << 20), { readonly: true }),
    });
    for (const { exchange, buffer, fabric, backDirectory } of [byMode, byDevice]) {
      expect(fabric.store.read(`${backDirectory}/info`)).toBe('4');
      expect((await exchange([transfer('write', 0, buffer().ref)]))[0]?.status).toBe(BLKIF_RSP_ERROR);
    }
  });

  it('tells a connected frontend that its medium was changed, and that the drive is empty', async () => {
    const media = new Map<string, BlockDevice>([
      ['one.iso', MemoryDevice.of(new Uint8Array(2048).fill(1))],
      ['two.iso', MemoryDevice.of(new Uint8Array(4096).fill(2))],
    ]);
    const { exchange, buffer, fabric, backDirectory } = await rawFrontend({
      backendNodes: { params: 'one.iso', mode: 'r', removable: 1 },
      nodes: { 'device-type': 'cdrom' },
      options: { open: async (end) => media.get(await end.own.read('params')) },
    });
    const page = buffer();
    const read: BlockRequest = {
      ...transfer('read', 0, page.ref),
      segments: [{ ref: page.ref, first: 0, last: 0 }],
    } as BlockRequest;
    const look = async () => [
      (await exchange([read]))[0]?.status,
      page.page.readU8(0),
      fabric.store.read(`${backDirectory}/sectors`),
    ];
    expect(fabric.store.read(`${backDirectory}/info`)).toBe('7');
    expect(await look()).toEqual([BLKIF_RSP_OKAY, 1, '4']);
    for (const [params, expected] of [
      ['', [BLKIF_RSP_ERROR, 1, '0']],
      ['two.iso', [BLKIF_RSP_OKAY, 2, '8']],
    ] as const) {
      fabric.store.write(`${backDirectory}/params`, params);
      await settle();
      expect(await look()).toEqual(expected);
    }
  });

  it('counts in larger sectors with frontends that can', async () => {
    const { exchange, buffer, device, fabric, backDirectory } = await rawFrontend({
      options: { sectorSize: 4096 },
      nodes: { 'feature-large-sector-size': 1 },
    });
    const { ref } = buffer(7);
    const write: BlockRequest = {
      kind: 'write',
      id: 1n,
      sector: 3n,
      segments: [{ ref, first: 0, last: 0 }],
      claimed: 1,
    };
    expect(fabric.store.read(`${backDirectory}/sectors`)).toBe('256');
    expect((await exchange([write]))[0]?.status).toBe(BLKIF_RSP_OKAY);
    expect((await device.read(3 * 4096, 512))[0]).toBe(7);
  });
});

describe('a hostile frontend', () => {
  it('wild grants, offsets and operations are errors of their request', async () => {
    const { exchange, buffer, state } = await rawFrontend();
    const readonlyPage = buffer();
    const discard: BlockRequest = { kind: 'discard', id: 7n, sector: 0n, sectors: 8n, secure: true };
    const answers = await exchange([
      transfer('read', 0, 0xffff_ffff, 1n),
      transfer('write', 0, 999, 2n),
      transfer('read', 2 ** 40, readonlyPage.ref, 3n),
      { kind: 'unknown', id: 4n, operation: 200 },
      { kind: 'indirect', id: 5n, sector: 0n, operation: 0, claimed: 20, refs: [1, 2, 3, 4, 5, 6, 7, 8] },
      discard,
      transfer('write', 0, readonlyPage.ref, 8n),
    ]);
    expect(answers.map(({ id, status }) => [Number(id), status])).toEqual([
      [1, BLKIF_RSP_ERROR],
      [2, BLKIF_RSP_ERROR],
      [3, BLKIF_RSP_ERROR],
      [4, BLKIF_RSP_ERROR],
      [5, BLKIF_RSP_ERROR],
      [7, BLKIF_RSP_EOPNOTSUPP],
      [8, BLKIF_RSP_OKAY],
    ]);
    expect(state()).toBe('4');
  });

  it('a read into a page that was granted read-only is an error', async () => {
    const { exchange, front } = await rawFrontend();
    const page = front.memory.allocate()!;
    const ref = front.grants.grantAccess(BACK, page, { readonly: true });
    expect((await exchange([transfer('read', 0, ref)]))[0]?.status).toBe(BLKIF_RSP_ERROR);
    expect((await exchange([transfer('write', 0, ref)]))[0]?.status).toBe(BLKIF_RSP_OKAY);
  });

  it('a producer index that runs away closes its device', async () => {
    const { memory, front, port, state, fabric, back, log } = await rawFrontend();
    memory.writeU32(0, 0x8000_0000);
    front.eventChannels.send(port);
    await settle();
    expect(state()).toBe('5');
    expect(fabric.store.read(`/local/domain/${BACK}/error/backend/vbd/1/51712/error`)).toContain(
      'impossible',
    );
    expect(log).toEqual([]);
    fabric.store.write('/local/domain/1/device/vbd/51712/state', '6');
    await settle();
    expect([state(), back.openPorts]).toEqual(['6', 0]);
  });

  it('is not worth more than ten lines of the log', async () => {
    const { exchange, log } = await rawFrontend();
    for (let i = 0; i < 5; i++)
      await exchange(Array.from({ length: 32 }, (_, n) => transfer('read', 0, 5000, BigInt(n))));
    expect(log.length).toBe(10);
  });

  it('dies while its requests are under way', async () => {
    const { ring, front, port, buffer, fabric, back } = await rawFrontend({
      device: new OverlayDevice(new MemoryDevice(1 << 20)),
    });
    for (let i = 0; i < 20; i++)
      ring.put(encodeRequest(transfer(i % 2 ? 'read' : 'write', 8 * i, buffer().ref), 1));
    ring.push();
    front.eventChannels.send(port);
    await settle();
    fabric.removeGuest(FRONT);
    await fabric.advance(1e9);
    fabric.store.rm(`/local/domain/${BACK}/backend/vbd/${FRONT}`);
    await fabric.advance(1e9);
    expect(back.openPorts).toBe(0);
  });

  it('whatever it does, others are served and the backend stays small', async () => {
    await fc.assert(fc.asyncProperty(fc.array(mischief, { minLength: 1, maxLength: 25 }), survives), {
      numRuns: 60,
    });
  }, 60_000);
});

const mischief = fc.oneof(
  fc.record({
    kind: fc.constant('word' as const),
    at: fc.integer({ min: 0, max: 1023 }),
    value: fc.integer(),
  }),
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
    ),
  }),
  fc.record({ kind: fc.constant('events' as const), count: fc.integer({ min: 1, max: 50 }) }),
  fc.record({ kind: fc.constant('revoke' as const) }),
);

type Mischief = typeof mischief extends fc.Arbitrary<infer T> ? T : never;

async function survives(steps: readonly Mischief[]): Promise<void> {
  const { fabric, front, back, memory, ring, port, directory, buffer } = await rawFrontend({
    device: new OverlayDevice(new MemoryDevice(1 << 20)),
  });
  const neighbour = await addNeighbour(fabric, back);
  const { ref } = buffer();
  for (const step of steps) {
    if (step.kind === 'word') memory.writeU32(step.at * 4, step.value >>> 0);
    else if (step.kind === 'slots') {
      memory.write(64, step.bytes);
      ring.put(encodeRequest(transfer('write', 0, ref), 1));
      memory.writeU32(0, (memory.readU32(0) + step.advance) >>> 0);
    } else if (step.kind === 'state') fabric.store.write(`${directory}/state`, String(step.value));
    else if (step.kind === 'node') fabric.store.write(`${directory}/${step.name}`, step.value);
    else if (step.kind === 'events') for (let i = 0; i < step.count; i++) front.eventChannels.send(port);
    else front.grants.endAccess(ref);
    front.eventChannels.send(port);
    await fabric.advance(100_000);
  }
  expect(front.grantsInUse).toBeLessThanOrEqual(1100);
  expect(back.openPorts).toBeLessThanOrEqual(6);
  await neighbour();
}

/** Another guest with a disk of the same backend. @returns does some work with it */
async function addNeighbour(fabric: Fabric, back: FabricGuest): Promise<() => Promise<void>> {
  const other = fabric.addGuest(3);
  const pair = blockPair();
  const { driver, exercise } = pair.frontend(other);
  serveFrontends(other, driver);
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
