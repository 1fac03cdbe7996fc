import { readFileSync } from 'node:fs';
import { createHost, loadKernel } from '@xenolith/host';
import { Capture, completed, type Frame, isIntact, type NetworkPort } from '@xenolith/netback';
import { busyboxInitramfs, moduleEntries } from '@xenolith-tooling/debian';
import { beforeAll, describe, expect, it } from 'vitest';
import { consoleLines } from './debian-dmesg.js';
import { pieces, reason } from './debian-machine.js';

const GUESTS = [
  { name: 'receiver', mine: '10.0.0.1', theirs: '10.0.0.2', mac: '00:16:3e:00:00:01' },
  { name: 'sender', mine: '10.0.0.2', theirs: '10.0.0.1', mac: '00:16:3e:00:00:02' },
];
const BYTES = 64 * 65536;

interface Talk {
  consoles: string[];
  reasons: string[];
  /** What the guests sent. */
  frames: Frame[];
  capture: Uint8Array;
}

/** Boots both on one switch and waits until they have powered off. */
async function talk(): Promise<Talk> {
  const { vmlinuz, busybox, modules } = pieces!;
  const init = readFileSync(new URL('../fixtures/network-init.sh', import.meta.url));
  const ramdisk = busyboxInitramfs(busybox, init, moduleEntries(modules, ['xen-netfront']));
  const kernel = loadKernel(readFileSync(vmlinuz));
  const host = await createHost({ memoryMiB: 512, clock: 'virtual' });
  const parts: Uint8Array[] = [];
  const frames: Frame[] = [];
  const capture = new Capture({ clock: host.dom0.clock, write: (bytes) => parts.push(bytes) });
  const consoles = GUESTS.map(() => '');
  const guests = GUESTS.map(({ name, mine, theirs, mac }, i) => {
    const port = capture.tap(host.networks.bridge('xenbr0').addPort(), name);
    return host.createDomain({
      kernel,
      ramdisk,
      name,
      cmdline: `console=hvc0 quiet mine=${mine} theirs=${theirs} role=${name}`,
      memoryMiB: 256,
      vifs: [{ mac, port: watched(port, frames) }],
      onConsole: (bytes) => {
        consoles[i] += Buffer.from(bytes).toString('latin1');
      },
    });
  });
  for (const guest of guests) guest.unpause();
  await host.run();
  const results = await Promise.all(guests.map(({ ended }) => ended));
  return {
    consoles,
    reasons: results.map((result) => result.reason),
    frames,
    capture: Uint8Array.from(Buffer.concat(parts)),
  };
}

const watched = (port: NetworkPort, frames: Frame[]): NetworkPort => ({
  ...port,
  send(frame) {
    frames.push(frame);
    port.send(frame);
  },
});

describe.skipIf(pieces === undefined)(`two Debian guests on a switch (${reason ?? 'found'})`, () => {
  let result: Talk;
  const line = (guest: number, word: string) =>
    consoleLines(result.consoles[guest]!).find((text) => text.startsWith(word));
  beforeAll(async () => {
    result = await talk();
  });

  it('power off', () => expect(result.reasons, result.consoles.join('\n')).toEqual(['poweroff', 'poweroff']));

  it('have the addresses that they were given', () => {
    expect([line(0, 'MAC'), line(1, 'MAC')]).toEqual(GUESTS.map(({ mac }) => `MAC ${mac}`));
  });

  it('ping each other', () => expect(line(1, '3 packets')).toContain('3 packets received, 0% packet loss'));

  it('move some MiB over TCP, unharmed', () => {
    expect([line(0, 'SIZE'), line(1, 'SIZE')]).toEqual([`SIZE ${BYTES}`, `SIZE ${BYTES}`]);
    expect(line(0, 'SHA256')).toMatch(/^SHA256 [0-9a-f]{64} /);
    expect(line(0, 'SHA256')).toBe(line(1, 'SHA256'));
    for (const guest of [0, 1])
      for (const name of ['rx_errors', 'tx_errors', 'rx_dropped'])
        expect(line(guest, name)).toBe(`${name} 0`);
  });

  it('in large frames with blank checksums', () => {
    const large = result.frames.filter(({ segmentation }) => segmentation?.protocol === 'tcp4');
    expect(large.length).toBeGreaterThan(10);
    expect(large.every(({ checksum, data }) => checksum === 'blank' && data.length > 1514)).toBe(true);
    expect(result.frames.every((frame) => isIntact(completed(frame).data))).toBe(true);
  });

  it('and a capture has all of it, once from each side, with checksums in place', () => {
    const { capture, frames } = result;
    const view = new DataView(capture.buffer);
    const captured: Uint8Array[] = [];
    for (let at = 0; at < capture.length; at += view.getUint32(at + 4, true)) {
      if (view.getUint32(at, true) !== 6) continue;
      captured.push(capture.subarray(at + 28, at + 28 + view.getUint32(at + 20, true)));
    }
    expect(captured.length).toBeGreaterThan(1.5 * frames.length);
    expect(captured.every(isIntact)).toBe(true);
  });
});
