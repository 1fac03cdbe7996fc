import { addDevice, serveBackends } from '@xenolith/xenbus';
import { Fabric } from '@xenolith/xenbus/testing';
import { expect, it } from 'vitest';
import { firstInterface, netBackend, Station, Switch } from '../index.js';

it('the first interface of a guest is its end of a cable', async () => {
  const fabric = new Fabric();
  const [front, back] = [1, 2].map((domid) => fabric.addGuest(domid));
  const { clock } = back!;
  const network = new Switch({ clock });
  serveBackends(back!, netBackend(back!, { open: async () => network.addPort() }));
  new Station({
    clock,
    mac: '00:16:3e:00:00:02',
    address: '10.0.0.2',
    port: network.addPort({ delayNs: 1000 }),
  });
  const mac = '00:16:3e:00:00:01';
  const found = firstInterface(front!);
  await addDevice(fabric.toolstack, {
    type: 'vif',
    id: 0,
    frontendId: 1,
    backendId: 2,
    frontend: { mac, handle: 0 },
  });
  await fabric.advance(1e6);
  const port = await found;
  const station = new Station({ clock: front!.clock, mac: port.mac, address: '10.0.0.1', port });
  const answer = station.ping('10.0.0.2');
  await fabric.advance(1e6);
  expect(await answer).toBe(1000);
});
