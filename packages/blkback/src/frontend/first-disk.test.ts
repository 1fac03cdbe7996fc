import { addDevice, serveBackends } from '@xenolith/xenbus';
import { Fabric } from '@xenolith/xenbus/testing';
import { expect, it } from 'vitest';
import { blockBackend, firstDisk, MemoryDevice } from '../index.js';

it('the first disk of a guest, whether it is there already or comes later', async () => {
  const fabric = new Fabric();
  const [front, late, back] = [1, 2, 3].map((domid) => fabric.addGuest(domid));
  serveBackends(back!, blockBackend(back!, { open: async () => new MemoryDevice(4096) }));
  const plug = (frontendId: number) =>
    addDevice(fabric.toolstack, {
      type: 'vbd',
      id: 51712,
      frontendId,
      backendId: 3,
      backend: { mode: 'w' },
    });
  await plug(1);
  const disks = [firstDisk(front!), firstDisk(late!)];
  await fabric.advance(1e6);
  await plug(2);
  await fabric.advance(1e6);
  expect((await Promise.all(disks)).map(({ size, readonly }) => [size, readonly])).toEqual([
    [4096, false],
    [4096, false],
  ]);
});
