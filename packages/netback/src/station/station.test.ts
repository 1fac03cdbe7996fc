import { Fabric } from '@xenolith/xenbus/testing';
import { describe, expect, it } from 'vitest';
import { type Frame, type FrameReceiver, Station, Switch, type SwitchPortOptions } from '../index.js';
import { decodeArp, decodeEcho } from './packets.js';

/** Stations on a switch, and all frames that they send. */
function network(...options: SwitchPortOptions[]) {
  const fabric = new Fabric();
  const { clock } = fabric.addGuest(1);
  const hub = new Switch({ clock });
  const frames: Frame[] = [];
  const receivers: FrameReceiver[] = [];
  const stations = options.map((option, i) => {
    const port = hub.addPort(option);
    const send = (frame: Frame) => {
      frames.push(frame);
      port.send(frame);
    };
    return new Station({
      clock,
      mac: `00:16:3e:00:00:0${i + 1}`,
      address: `10.0.0.${i + 1}`,
      port: {
        send,
        connect(receiver) {
          receivers[i] = receiver!;
          port.connect(receiver);
        },
      },
    });
  });
  const outcome = async <T>(work: Promise<T>): Promise<T> => {
    await fabric.advance(10e9);
    return work;
  };
  return { stations, frames, receivers, outcome };
}

describe('a station', () => {
  it('finds another one, and measures how long its answer takes', async () => {
    const { stations, frames, outcome } = network({}, { delayNs: 3_000_000 }, {});
    expect(await outcome(stations[0]!.ping('10.0.0.2'))).toBe(3_000_000);
    expect(frames.map(({ data }) => decodeArp(data)?.operation ?? decodeEcho(data)?.type)).toEqual([
      1, 2, 8, 0,
    ]);
    frames.length = 0;
    // Both know each other now.
    expect(await outcome(stations[1]!.ping('10.0.0.1', { bytes: 1472 }))).toBe(3_000_000);
    expect(frames.map(({ data }) => data.length)).toEqual([1514, 1514]);
  });

  it('gives up on one that is not there, or whose answers are lost', async () => {
    const { stations, outcome } = network({}, {}, { loss: 1 });
    expect(await outcome(stations[0]!.ping('10.0.0.9'))).toBeUndefined();
    expect(await outcome(stations[0]!.ping('10.0.0.3'))).toBeUndefined();
    const slow = network({}, { delayNs: 2e9 });
    expect(await slow.outcome(slow.stations[0]!.ping('10.0.0.2'))).toBeUndefined();
    expect(await slow.outcome(slow.stations[0]!.ping('10.0.0.2', { timeoutNs: 3e9 }))).toBe(2e9);
  });

  it('keeps several answers apart', async () => {
    const { stations, outcome } = network({}, { delayNs: 1_000_000 }, { delayNs: 5_000_000 });
    const all = Promise.all(
      ['10.0.0.3', '10.0.0.2', '10.0.0.3'].map((address) => stations[0]!.ping(address)),
    );
    expect(await outcome(all)).toEqual([5_000_000, 1_000_000, 5_000_000]);
  });

  it('is not disturbed by frames that are damaged, cut or for others', async () => {
    const { stations, frames, receivers, outcome } = network({}, {});
    await outcome(stations[0]!.ping('10.0.0.2'));
    const request = frames[2]!.data;
    frames.length = 0;
    for (let length = 0; length < request.length; length++) receivers[1]!({ data: request.slice(0, length) });
    for (const at of [14, 23, 30, 34, 50]) {
      const data = request.slice();
      data[at]! ^= 1;
      receivers[1]!({ data });
    }
    receivers[0]!({ data: request });
    expect(frames).toEqual([]);
    receivers[1]!({ data: request });
    expect(frames.length).toBe(1);
  });

  it('refuses addresses that are none', async () => {
    const [station] = network({}).stations;
    for (const address of ['', '10.0.0', '10.0.0.256', '10.0.0.x', '1.2.3.4.5'])
      await expect(station!.ping(address)).rejects.toThrow('is no address');
  });
});
