import { Fabric } from '@xenolith/xenbus/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isIntact, writeBlank } from '../frame/checksum.js';
import type { Frame } from '../frame/frame.js';
import { findHeaders } from '../frame/headers.js';
import { packet } from '../frame/testing.js';
import { Capture } from './capture.js';
import { Switch, type SwitchOptions, type SwitchPortOptions } from './switch.js';

const frame = (to: number, from: number): Frame => {
  const data = new Uint8Array(60);
  data.set([to === 255 ? 0xff : 2, ...(to === 255 ? [255, 255, 255, 255] : [0, 0, 0, 0]), to], 0);
  data.set([2, 0, 0, 0, from >> 8, from & 255], 6);
  return { data };
};

function setUp(ports: SwitchPortOptions[], options: Partial<SwitchOptions> = {}) {
  const fabric = new Fabric();
  const { clock } = fabric.addGuest(1);
  const network = new Switch({ clock, ...options });
  const got: Frame[][] = ports.map(() => []);
  const all = ports.map((portOptions, i) => {
    const port = network.addPort(portOptions);
    port.connect((received) => got[i]!.push(received));
    return port;
  });
  const counts = () => got.map((frames) => frames.splice(0).length);
  return { fabric, network, ports: all, got, counts };
}

describe('a switch', () => {
  it('sends to all until it knows, then to one', () => {
    const { ports, counts } = setUp([{}, {}, {}]);
    ports[0]!.send(frame(2, 1));
    expect(counts()).toEqual([0, 1, 1]);
    ports[1]!.send(frame(1, 2));
    expect(counts()).toEqual([1, 0, 0]);
    ports[0]!.send(frame(2, 1));
    expect(counts()).toEqual([0, 1, 0]);
    ports[0]!.send(frame(255, 1));
    expect(counts()).toEqual([0, 1, 1]);
  });

  it('follows an address to another port, and forgets one that is silent', async () => {
    const { ports, counts, fabric } = setUp([{}, {}, {}], { ageNs: 1000 });
    ports[1]!.send(frame(1, 2));
    ports[2]!.send(frame(1, 2));
    counts();
    ports[0]!.send(frame(2, 1));
    expect(counts()).toEqual([0, 0, 1]);
    await fabric.advance(2000);
    ports[0]!.send(frame(2, 1));
    expect(counts()).toEqual([0, 1, 1]);
  });

  it('does not send a frame back, nor take a group for a sender', () => {
    const { ports, counts, network } = setUp([{}, {}]);
    ports[0]!.send(frame(2, 1));
    ports[0]!.send(frame(1, 2));
    const bad = frame(2, 3);
    bad.data[6] = 1;
    ports[0]!.send(bad);
    ports[0]!.send({ data: new Uint8Array(13) });
    expect([counts(), network.addresses]).toEqual([[0, 1], 2]);
  });

  it('keeps isolated ports apart', () => {
    const { ports, counts } = setUp([{ isolated: true }, { isolated: true }, {}]);
    ports[0]!.send(frame(255, 1));
    expect(counts()).toEqual([0, 0, 1]);
    ports[1]!.send(frame(1, 2));
    expect(counts()).toEqual([0, 0, 0]);
    ports[2]!.send(frame(1, 3));
    expect(counts()).toEqual([1, 0, 0]);
  });

  it('one port that has more addresses than it may does not push out those of others', () => {
    const { ports, counts, network } = setUp([{}, {}, {}], { maxAddresses: 16 });
    ports[1]!.send(frame(1, 2));
    for (let i = 0; i < 1000; i++) ports[0]!.send(frame(255, 1000 + i));
    counts();
    expect(network.addresses).toBe(17);
    ports[0]!.send(frame(2, 1));
    expect(counts()).toEqual([0, 1, 0]);
  });

  it('loses frames as the seed says, and delays them', async () => {
    const run = async (seed: number) => {
      const { ports, got, fabric } = setUp([{}, { loss: 0.5, delayNs: 1000 }], { seed });
      for (let i = 0; i < 100; i++) ports[0]!.send(frame(2, 100 + i));
      expect(got[1]!.length).toBe(0);
      await fabric.advance(999);
      expect(got[1]!.length).toBe(0);
      await fabric.advance(1);
      return got[1]!.map(({ data }) => data[11]);
    };
    const first = await run(7);
    expect(first.length).toBeGreaterThan(25);
    expect(first.length).toBeLessThan(75);
    expect(await run(7)).toEqual(first);
    expect(await run(8)).not.toEqual(first);
  });

  it('does not grow with what is under way, nor deliver to a port that is down or gone', async () => {
    const { ports, got, fabric, network, counts } = setUp([{}, { delayNs: 1000 }, {}]);
    for (let i = 0; i < 1200; i++) ports[0]!.send(frame(2, 1));
    await fabric.advance(1000);
    expect(got[1]!.length).toBe(1024);
    counts();
    ports[0]!.send(frame(2, 1));
    ports[1]!.connect(undefined);
    ports[2]!.close!();
    await fabric.advance(1000);
    expect([counts(), network.size, network.addresses]).toEqual([[0, 0, 1], 2, 1]);
    ports[2]!.send(frame(1, 3));
    expect(counts()).toEqual([0, 0, 0]);
  });
});

/** Reads a pcapng file as its description says, block by block. */
function blocksOf(file: Uint8Array) {
  const view = new DataView(file.buffer);
  const blocks: { type: number; body: DataView }[] = [];
  for (let at = 0; at < file.length; ) {
    const length = view.getUint32(at + 4, true);
    expect(length % 4).toBe(0);
    expect(view.getUint32(at + length - 4, true)).toBe(length);
    blocks.push({ type: view.getUint32(at, true), body: new DataView(file.buffer, at + 8, length - 12) });
    at += length;
  }
  return blocks;
}

describe('a capture', () => {
  it('is a pcapng file of what goes through its ports, checksums in place', async () => {
    const { network, fabric } = setUp([]);
    const pieces: number[] = [];
    const startNs = 1_700_000_000_000_000_000n;
    const { clock } = fabric.addGuest(2);
    const capture = new Capture({ clock, startNs, write: (bytes) => pieces.push(...bytes) });
    const a = capture.tap(network.addPort(), 'vif1.0');
    const b = capture.tap(network.addPort(), 'vif2.0');
    const got: Frame[] = [];
    b.connect((received) => got.push(received));
    await fabric.advance(5_000_000_123);
    const data = packet({ payload: 101 });
    const whole = data.slice();
    writeBlank(data, findHeaders(data)!);
    a.send({ data, checksum: 'blank' });
    // The receiver gets the frame as it was sent.
    expect(got).toEqual([{ data, checksum: 'blank' }]);
    const blocks = blocksOf(Uint8Array.from(pieces));
    expect(blocks.map(({ type }) => type)).toEqual([0x0a0d0d0a, 1, 1, 6, 6]);
    expect(blocks[0]!.body.getUint32(0, true)).toBe(0x1a2b3c4d);
    expect(
      new TextDecoder().decode(new Uint8Array(blocks[2]!.body.buffer, blocks[2]!.body.byteOffset + 12, 6)),
    ).toBe('vif2.0');
    for (const [i, { body }] of blocks.slice(3).entries()) {
      const time = (BigInt(body.getUint32(4, true)) << 32n) | BigInt(body.getUint32(8, true));
      expect([body.getUint32(0, true), time]).toEqual([i, startNs + 5_000_000_123n]);
      const length = body.getUint32(12, true);
      const captured = new Uint8Array(body.buffer, body.byteOffset + 20, length);
      expect(captured).toEqual(whole);
      expect(isIntact(captured)).toBe(true);
      // Outbound from its owner at the first port, inbound at the second.
      expect(body.getUint32(20 + Math.ceil(length / 4) * 4 + 4, true)).toBe(i === 0 ? 2 : 1);
    }
  });

  it('has large frames as a wire would, in pieces', () => {
    const { fabric } = setUp([]);
    const pieces: number[] = [];
    const { clock } = fabric.addGuest(2);
    const capture = new Capture({ clock, write: (bytes) => pieces.push(...bytes) });
    const sent: Frame[] = [];
    const port = capture.tap({ send: (each) => void sent.push(each), connect() {} }, 'x');
    const data = packet({ payload: 3000 });
    const large: Frame = { data, checksum: 'blank', segmentation: { protocol: 'tcp4', size: 1448 } };
    port.send(large);
    expect(sent).toEqual([large]);
    const lengths = blocksOf(Uint8Array.from(pieces))
      .slice(2)
      .map(({ body }) => body.getUint32(12, true));
    expect(lengths).toEqual([1448, 1448, 104].map((payload) => packet({ payload }).length));
  });

  it('property: frames of any length keep the file in order', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (frames) => {
        const { network, fabric } = setUp([]);
        const pieces: number[] = [];
        const capture = new Capture({
          clock: fabric.addGuest(2).clock,
          write: (bytes) => pieces.push(...bytes),
        });
        const port = capture.tap(network.addPort(), 'x');
        for (const data of frames) port.send({ data });
        expect(blocksOf(Uint8Array.from(pieces)).length).toBe(frames.length + 2);
      }),
    );
  });
});
