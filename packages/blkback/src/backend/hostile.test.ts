import { BLKIF_RSP_EOPNOTSUPP, BLKIF_RSP_ERROR, BLKIF_RSP_OKAY } from '@xenolith/xen-abi';
import { settle } from '@xenolith/xenbus/testing';
import { describe, expect, it } from 'vitest';
import { type BlockRequest, encodeRequest, encodeSegments } from '../codec/index.js';
import { MemoryDevice } from '../devices/memory-device.js';
import { OverlayDevice } from '../devices/overlay.js';
import { BACK, FRONT, rawFrontend, transfer } from '../testing/raw-frontend.js';

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

  it('a page that was granted to somebody else is an error', async () => {
    const { exchange, front, log } = await rawFrontend();
    const ref = front.grants.grantAccess(BACK + 1, front.memory.allocate()!);
    for (const kind of ['read', 'write'] as const)
      expect((await exchange([transfer(kind, 0, ref)]))[0]?.status).toBe(BLKIF_RSP_ERROR);
    expect(log).toEqual([expect.stringContaining(`grant ${ref} cannot be mapped`), expect.anything()]);
  });

  /** A device whose reads wait for the test. */
  const held = () => {
    const device = new MemoryDevice(1 << 20);
    const waiting: (() => void)[] = [];
    const { read } = device;
    const slow = Object.assign(device, {
      read: (offset: number, length: number) =>
        new Promise<Uint8Array>((resolve) => waiting.push(() => resolve(read.call(device, offset, length)))),
    });
    return { device: slow, waiting };
  };

  it('changes a request while it is done, and its list of segments: what was taken counts', async () => {
    const { device, waiting } = held();
    const setUp = await rawFrontend({ device });
    const { exchange, buffer, memory } = setUp;
    device.write(0, new Uint8Array(8192).fill(5));
    const [meant, other, list] = [buffer(1), buffer(2), buffer()];
    list.page.write(0, encodeSegments([{ ref: meant.ref, first: 0, last: 7 }]));
    const refs = [list.ref, 0, 0, 0, 0, 0, 0, 0];
    const indirect: BlockRequest = { kind: 'indirect', id: 7n, sector: 0n, operation: 0, claimed: 1, refs };
    expect(await exchange([indirect, transfer('read', 8, meant.ref, 8n)])).toEqual([]);
    list.page.write(0, encodeSegments([{ ref: other.ref, first: 0, last: 7 }]));
    for (const slot of [64, 64 + 112])
      memory.write(slot, encodeRequest(transfer('read', 0, other.ref, 99n), 1));
    for (const go of waiting) go();
    const answers = await exchange([]);
    expect(answers.map(({ id, status }) => [id, status])).toEqual([
      [7n, BLKIF_RSP_OKAY],
      [8n, BLKIF_RSP_OKAY],
    ]);
    expect([meant.page.readU8(0), other.page.readU8(0)]).toEqual([5, 2]);
  });

  it('takes a grant back while its request is done: an error, and the page is left alone', async () => {
    const { device, waiting } = held();
    const { exchange, buffer, front, state } = await rawFrontend({ device });
    const { page, ref } = buffer(3);
    await exchange([transfer('read', 0, ref)]);
    expect(front.grants.endAccess(ref)).toBe(true);
    waiting[0]!();
    expect((await exchange([]))[0]?.status).toBe(BLKIF_RSP_ERROR);
    expect([page.readU8(0), state()]).toEqual([3, '4']);
  });

  it('asks a slow device for more than there is room for: the rest waits, in all queues', async () => {
    const { device, waiting } = held();
    const { exchange, buffer } = await rawFrontend({ device });
    const page = buffer();
    const list = buffer();
    const segment = { ref: page.ref, first: 0, last: 7 };
    list.page.write(0, encodeSegments(Array.from({ length: 256 }, () => segment)));
    const refs = [list.ref, 0, 0, 0, 0, 0, 0, 0];
    const requests = Array.from(
      { length: 32 },
      (_, i): BlockRequest => ({
        kind: 'indirect',
        id: BigInt(i),
        sector: 0n,
        operation: 0,
        claimed: 256,
        refs,
      }),
    );
    expect(await exchange(requests)).toEqual([]);
    expect(waiting.length).toBe(16);
    let answers = 0;
    for (let done = 0; done < 32; answers += (await exchange([])).length) {
      waiting[done++]!();
      expect(waiting.length).toBeLessThanOrEqual(done + 16);
    }
    expect(answers).toBe(32);
  });

  it.each<[string, Record<string, string | number | undefined>]>([
    ['no ring', { 'ring-ref': undefined }],
    ['a ring that is no number', { 'ring-ref': 'many' }],
    ['a ring of a wild grant', { 'ring-ref': 4_000_000_000 }],
    ['a negative ring', { 'ring-ref': -1 }],
    ['half of a larger ring', { 'ring-page-order': 1, 'ring-ref0': 8 }],
    ['too large a ring', { 'ring-page-order': 31 }],
    ['no event channel', { 'event-channel': undefined }],
    ['a wild event channel', { 'event-channel': 4_000_000_000 }],
    ['an event channel of nobody', { 'event-channel': 77 }],
    ['another machine', { protocol: 'arm-abi' }],
    ['no queue', { 'multi-queue-num-queues': 0 }],
    ['too many queues', { 'multi-queue-num-queues': 1000 }],
    ['queues without rings', { 'multi-queue-num-queues': 2 }],
  ])(
    'offers %s: refused with a line of the log, and taken up again when it is put right',
    async (_, nodes) => {
      const { state, log, front, back, fabric, directory, backDirectory, ring, port } = await rawFrontend({
        nodes,
      });
      expect(state()).toBe('5');
      expect(log.length).toBe(1);
      expect(
        fabric.store.read(`/local/domain/${BACK}/error/${backDirectory.split('/').slice(4).join('/')}/error`),
      ).not.toBe('');
      expect([front.grantsInUse, back.openPorts]).toEqual([0, 0]);
      fabric.store.write(`${directory}/state`, '6');
      await settle();
      fabric.store.write(`${directory}/state`, '1');
      await settle();
      for (const name of ['ring-page-order', 'multi-queue-num-queues', 'protocol'])
        if (fabric.store.readIfExists(`${directory}/${name}`) !== undefined)
          fabric.store.rm(`${directory}/${name}`);
      // The ring is the first page that was granted.
      fabric.store.write(`${directory}/ring-ref`, '8');
      fabric.store.write(`${directory}/event-channel`, String(port));
      fabric.store.write(`${directory}/state`, '3');
      await settle();
      expect([state(), ring.free]).toEqual(['4', 32]);
    },
  );

  it('a storm of events without requests is answered with nothing, and hides no request', async () => {
    const { front, port, exchange, buffer, log, state, ring } = await rawFrontend();
    for (let i = 0; i < 20_000; i++) {
      front.eventChannels.send(port);
      await Promise.resolve();
    }
    await settle();
    expect([ring.take(), log, state()]).toEqual([undefined, [], '4']);
    expect((await exchange([transfer('read', 0, buffer().ref)]))[0]?.status).toBe(BLKIF_RSP_OKAY);
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
    expect(log).toEqual([expect.stringContaining('impossible')]);
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
});
