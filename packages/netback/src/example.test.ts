import { readFileSync } from 'node:fs';
import { addDevice, serveBackends, serveFrontends } from '@xenolith/xenbus';
import { Fabric } from '@xenolith/xenbus/testing';
import { expect, it } from 'vitest';
import { Capture, type FrontInterface, netBackend, netFrontend, Switch } from './index.js';

it('the example of the README', async () => {
  const fabric = new Fabric();
  const backGuest = fabric.addGuest(9);
  const guests = [1, 2].map((domid) => fabric.addGuest(domid));
  const { toolstack } = fabric;
  const file: number[] = [];
  const write = (bytes: Uint8Array) => file.push(...bytes);
  // biome-ignore format: as in the README
  const run = async () => {
    // <example>
    // A backend that plugs every vif into one switch, and writes down what goes by.
    const { clock } = backGuest;
    const network = new Switch({ clock });
    const capture = new Capture({ clock, write });
    serveBackends(
      backGuest,
      netBackend(backGuest, {
        open: async (end) => capture.tap(network.addPort(), `vif${end.otherId}.${end.identity.id}`),
      }),
    );

    // Two guests that use the interface they are given.
    const interfaces: FrontInterface[] = [];
    for (const guest of guests) {
      serveFrontends(guest, netFrontend(guest, (_id, network) => network && interfaces.push(network)));
      const mac = `00:16:3e:00:00:0${guest.domid}`;
      await addDevice(toolstack, {
        type: 'vif', id: 0, frontendId: guest.domid, backendId: backGuest.domid,
        backend: { mac, handle: 0 },
        frontend: { mac, handle: 0 },
      });
    }
    // </example>
    return interfaces;
  };
  const interfaces = await run();
  await fabric.advance(1_000_000);
  const [first, second] = interfaces.sort((a, b) => a.mac.localeCompare(b.mac));
  const got: Uint8Array[] = [];
  second!.connect(({ data }) => got.push(data));
  const data = new Uint8Array(60).fill(0xff, 0, 6);
  expect(first!.send({ data })).toBe(true);
  await fabric.advance(1_000_000);
  expect(got).toEqual([data]);
  expect(file.length).toBeGreaterThan(2 * 60);
});

it('the README shows this very code', () => {
  const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
  const example = /```ts\n([\s\S]*?)```/.exec(read('../README.md'))![1]!.trim();
  const code = /\/\/ <example>\n([\s\S]*?)\n *\/\/ <\/example>/.exec(read('./example.test.ts'))![1]!;
  expect(code.replace(/^ {4}/gm, '')).toBe(example);
});
