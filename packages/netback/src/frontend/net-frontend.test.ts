import { addDevice, serveBackends, serveFrontends } from '@xenolith/xenbus';
import { Fabric } from '@xenolith/xenbus/testing';
import { describe, expect, it } from 'vitest';
import { netBackend } from '../backend/net-backend.js';
import type { NetBackendOptions } from '../backend/options.js';
import { isIntact, writeBlank } from '../frame/checksum.js';
import type { Frame } from '../frame/frame.js';
import { findHeaders } from '../frame/headers.js';
import { packet } from '../frame/testing.js';
import type { NetworkPort } from '../ports/network-port.js';
import { type FrontInterface, type NetFrontendOptions, netFrontend } from './net-frontend.js';

/** An interface, and what its backend sends into the network. */
async function setUp(options: Partial<NetBackendOptions>, frontOptions: NetFrontendOptions = {}) {
  const fabric = new Fabric();
  const [front, back] = [fabric.addGuest(1), fabric.addGuest(2)];
  const sent: Frame[] = [];
  let receive: ((frame: Frame) => void) | undefined;
  const port: NetworkPort = {
    send: (frame) => void sent.push(frame),
    connect: (receiver) => {
      receive = receiver;
    },
  };
  serveBackends(back, netBackend(back, { open: async () => port, ...options }));
  let network: FrontInterface | undefined;
  const onInterface = (_id: string, found: FrontInterface | undefined) => {
    network = found;
  };
  serveFrontends(front, netFrontend(front, onInterface, frontOptions));
  const mac = '00:16:3e:00:00:01';
  await addDevice(fabric.toolstack, {
    type: 'vif',
    id: 0,
    frontendId: 1,
    backendId: 2,
    backend: { mac },
    frontend: { mac },
  });
  await fabric.advance(1e6);
  const got: Frame[] = [];
  network!.connect((frame) => got.push(frame));
  return {
    sent,
    got,
    /** The guest sends. */
    send: async (frame: Frame) => {
      const taken = network!.send(frame);
      await fabric.advance(1e6);
      return taken;
    },
    /** The network has something for it. */
    arrive: async (frame: Frame) => {
      receive!(frame);
      await fabric.advance(1e6);
    },
  };
}

function blank(version: 4 | 6, payload: number): Frame {
  const data = packet({ version, payload });
  writeBlank(data, findHeaders(data)!);
  return { data, checksum: 'blank' };
}
const large = (version: 4 | 6): Frame => ({
  ...blank(version, 5000),
  segmentation: { protocol: version === 4 ? 'tcp4' : 'tcp6', size: 1400 },
});

describe.each([4, 6] as const)('the frontend with IPv%i', (version) => {
  it('leaves to the backend what that can do', async () => {
    const { send, sent } = await setUp({});
    expect([await send(blank(version, 100)), await send(large(version))]).toEqual([true, true]);
    expect(sent).toEqual([blank(version, 100), large(version)]);
  });

  it('does it itself where the backend does not offer it', async () => {
    const { send, sent } = await setUp({ offloads: () => false });
    expect([await send(blank(version, 100)), await send(large(version))]).toEqual([true, true]);
    expect(sent.map(({ data }) => data.length)).toEqual(
      [100, 1400, 1400, 1400, 800].map((payload) => packet({ version, payload }).length),
    );
    expect(sent.every((frame) => isIntact(frame.data) && frame.checksum === 'validated')).toBe(true);
  });

  it('gets what it can take, and no more', async () => {
    const able = await setUp({}, { offloads: true });
    await able.arrive(large(version));
    expect(able.got).toEqual([large(version)]);
    for (const { arrive, got } of [
      await setUp({}, { offloads: false }),
      await setUp({ offloads: () => false }, { offloads: true }),
    ]) {
      await arrive(large(version));
      await arrive(blank(version, 100));
      expect(got.length).toBe(5);
      expect(got.every((frame) => isIntact(frame.data) && !frame.segmentation)).toBe(true);
    }
  });
});
