import { readFileSync } from 'node:fs';
import { addDevice, serveBackends, serveFrontends } from '@xenolith/xenbus';
import { Fabric } from '@xenolith/xenbus/testing';
import { expect, it } from 'vitest';
import { parseVdev } from './codec/index.js';
import { blockBackend, blockFrontend, type FrontDisk, MemoryDevice } from './index.js';

it('the example of the README', async () => {
  const fabric = new Fabric();
  const frontGuest = fabric.addGuest(1);
  const backGuest = fabric.addGuest(2);
  const { toolstack } = fabric;
  // biome-ignore format: as in the README
  const run = async () => {
    // <example>
    // A backend whose disks are in memory. What the toolstack wrote says which one.
    serveBackends(
      backGuest,
      blockBackend(backGuest, {
        open: async (end) => (await end.own.read('params')) === 'scratch' ? new MemoryDevice(1 << 20) : undefined,
      }),
    );

    // A guest that uses the disk it is given.
    const disks = new Map<string, FrontDisk | undefined>();
    serveFrontends(frontGuest, blockFrontend(frontGuest, (id, disk) => disks.set(id, disk)));

    await addDevice(toolstack, {
      type: 'vbd',
      id: parseVdev('xvda'),
      frontendId: 1,
      backendId: 2,
      backend: { params: 'scratch', mode: 'w' },
      frontend: { 'virtual-device': parseVdev('xvda'), 'device-type': 'disk' },
    });
    // </example>
    return disks;
  };
  const disks = await run();
  await fabric.advance(1_000_000);
  const disk = disks.get('51712')!;
  expect(disk.size).toBe(1 << 20);
  const work = (async () => {
    await disk.write(512, new Uint8Array(512).fill(0x58));
    return disk.read(0, 1024);
  })();
  await fabric.advance(1_000_000);
  expect((await work).subarray(510, 514)).toEqual(Uint8Array.of(0, 0, 0x58, 0x58));
});

it('the README shows this very code', () => {
  const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
  const example = /```ts\n([\s\S]*?)```/.exec(read('../README.md'))![1]!.trim();
  const code = /\/\/ <example>\n([\s\S]*?)\n *\/\/ <\/example>/.exec(read('./example.test.ts'))![1]!;
  expect(code.replace(/^ {4}/gm, '')).toBe(example);
});
