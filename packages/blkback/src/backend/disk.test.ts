import { FrontRing } from '@xenolith/shared-ring';
import { BLKIF_RSP_EOPNOTSUPP, BLKIF_RSP_ERROR, BLKIF_RSP_OKAY, x86_32, x86_64 } from '@xenolith/xen-abi';
import { settle } from '@xenolith/xenbus/testing';
import { describe, expect, it } from 'vitest';
import { type BlockRequest, decodeResponse, encodeRequest, encodeSegments } from '../codec/index.js';
import type { BlockDevice } from '../devices/block-device.js';
import { MemoryDevice } from '../devices/memory-device.js';
import { BACK, rawFrontend, transfer } from '../testing/raw-frontend.js';

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

  it('offers nothing that it is not to do', async () => {
    const cannot = Object.assign(new MemoryDevice(1 << 20), { discard: undefined });
    const options = { maxIndirectSegments: 0, maxPersistentGrants: 0, maxQueues: 1, maxRingPageOrder: 0 };
    const features = async (setUp: Parameters<typeof rawFrontend>[0]) => {
      const { fabric, backDirectory } = await rawFrontend(setUp);
      return [
        'feature-discard',
        'feature-persistent',
        'feature-max-indirect-segments',
        'max-ring-page-order',
      ].map((name) => fabric.store.readIfExists(`${backDirectory}/${name}`));
    };
    expect(await features({ device: cannot, options })).toEqual([undefined, '0', undefined, '0']);
    expect((await features({ backendNodes: { 'discard-enable': 0 } }))[0]).toBeUndefined();
    const { exchange } = await rawFrontend({ device: cannot });
    const discard: BlockRequest = { kind: 'discard', id: 1n, sector: 0n, sectors: 8n, secure: false };
    expect((await exchange([discard]))[0]?.status).toBe(BLKIF_RSP_EOPNOTSUPP);
  });

  it('a flush is done when the device has flushed, and fails when that fails', async () => {
    const waiting: { resolve(): void; reject(error: Error): void }[] = [];
    const device = Object.assign(new MemoryDevice(1 << 20), {
      flush: () => new Promise<void>((resolve, reject) => waiting.push({ resolve, reject })),
    });
    const { exchange } = await rawFrontend({ device });
    const flush: BlockRequest = { kind: 'flush', id: 1n, sector: 0n, segments: [], claimed: 0 };
    expect(await exchange([flush, flush])).toEqual([]);
    waiting[0]!.resolve();
    expect(await exchange([])).toEqual([{ id: 1n, operation: 3, status: BLKIF_RSP_OKAY }]);
    waiting[1]!.reject(new Error('the platter is gone'));
    expect((await exchange([]))[0]?.status).toBe(BLKIF_RSP_ERROR);
  });

  it('tells a connected frontend that it is larger now', async () => {
    const device = new MemoryDevice(1 << 20);
    const { fabric, backDirectory, exchange, buffer } = await rawFrontend({ device });
    const { ref } = buffer(4);
    expect((await exchange([transfer('write', 2048, ref)]))[0]?.status).toBe(BLKIF_RSP_ERROR);
    device.resize(2 << 20);
    let told = 0;
    const watch = fabric.toolstack.watch(`${backDirectory}/state`);
    void (async () => {
      for await (const _ of watch) told++;
    })();
    await settle();
    told = 0;
    fabric.store.write(`${backDirectory}/params`, 'disk');
    await settle();
    expect([fabric.store.read(`${backDirectory}/sectors`), told]).toEqual(['4096', 1]);
    expect((await exchange([transfer('write', 2048, ref)]))[0]?.status).toBe(BLKIF_RSP_OKAY);
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
