import { describe, expect, it } from 'vitest';
import { someFrame } from '../testing/net-pair.js';
import { rawFrontend } from '../testing/raw-frontend.js';

describe('what a guest gets', () => {
  it.each([60, 1514, 4096, 9014, 65_535])('a frame of %i bytes', async (length) => {
    const { arrive, queue } = await rawFrontend();
    await queue.offer(20);
    arrive(someFrame(length));
    arrive(someFrame(60, 1));
    expect(queue.frames()).toEqual([
      { flags: 0, data: someFrame(length).data },
      { flags: 0, data: someFrame(60, 1).data },
    ]);
  });

  it('waits until there are pages, in order, and not for ever', async () => {
    const { arrive, fabric, queue } = await rawFrontend();
    for (let i = 0; i < 3; i++) arrive(someFrame(5000, i));
    await queue.offer(3);
    expect(queue.frames().map(({ data }) => data[20])).toEqual([someFrame(60, 0).data[20]]);
    await queue.offer(2);
    expect(queue.frames().map(({ data }) => data[20])).toEqual([someFrame(60, 1).data[20]]);
    await fabric.advance(11e9);
    await queue.offer(2);
    expect(queue.frames()).toEqual([]);
    arrive(someFrame(60, 9));
    expect(queue.frames().length).toBe(1);
  });

  it('is dropped when too much waits, and when nobody would tell of new pages', async () => {
    const { arrive, queue } = await rawFrontend({ options: { maxWaitingBytes: 10 * (1000 + 256) } });
    for (let i = 0; i < 1000; i++) arrive(someFrame(1000));
    await queue.offer(100);
    expect(queue.frames().length).toBe(10);
    const mute = await rawFrontend({ nodes: { 'request-rx-copy': 1 } });
    mute.arrive(someFrame(60));
    await mute.queue.offer(5);
    expect(mute.queue.frames()).toEqual([]);
    mute.arrive(someFrame(60));
    expect(mute.queue.frames().length).toBe(1);
  });

  it('nothing larger than a page without scatter-gather', async () => {
    const { arrive, queue } = await rawFrontend({
      nodes: { 'request-rx-copy': 1, 'feature-rx-notify': 1 },
    });
    await queue.offer(4);
    arrive(someFrame(4097));
    arrive(someFrame(4096));
    expect(queue.frames().map(({ data }) => data.length)).toEqual([4096]);
  });
});
