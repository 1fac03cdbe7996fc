import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHost, loadKernel } from '@xenolith/host';
import type { Frame, NetworkPort } from '@xenolith/netback';
import { captureFile } from '@xenolith/netback/node';
import { busyboxInitramfs, moduleEntries, writeCpio } from '@xenolith-tooling/debian';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { consoleLines } from './debian-dmesg.js';
import { pieces, reason } from './debian-machine.js';
import { hasTshark, tsharkOpinion } from './tshark.js';

const GUESTS = [
  { name: 'sender', memoryMiB: 384, macs: ['00:16:3e:00:00:01', '00:16:3e:00:01:01'] },
  { name: 'receiver', memoryMiB: 192, macs: ['00:16:3e:00:00:02', '00:16:3e:00:01:02'] },
];
/** What the sender's HTTP server has. */
const FILES = { large: randomBytes(64 << 20), small: randomBytes(4 << 20) };
const sum = (name: keyof typeof FILES) => createHash('sha256').update(FILES[name]).digest('hex');

/** Bytes that are the same in each run. */
function randomBytes(length: number): Buffer {
  const words = new Uint32Array(length / 4);
  for (let i = 0, x = length; i < words.length; i++) words[i] = x = Math.imul(x, 1664525) + 1013904223;
  return Buffer.from(words.buffer);
}

const isIpv6 = ({ data }: Frame): boolean => data[12] === 0x86;
/** Of TCP, behind headers without options. */
function sourcePort(frame: Frame): number {
  const at = isIpv6(frame) ? 54 : 34;
  return (frame.data[at]! << 8) | frame.data[at + 1]!;
}

interface Talk {
  consoles: string[];
  reasons: string[];
  /** What the sender has sent on each network. */
  frames: Frame[][];
}

/** Boots both, on two switches, and waits until they have powered off. @param file what the receiver's ports saw */
async function talk(file: string): Promise<Talk> {
  const { vmlinuz, busybox, modules, tools } = pieces!;
  const init = readFileSync(new URL('../fixtures/network-init.sh', import.meta.url));
  const ramdisk = Buffer.concat([
    busyboxInitramfs(busybox, init, moduleEntries(modules, ['xen-netfront'])),
    readFileSync(tools),
  ]);
  const files = Object.entries(FILES).map(
    ([name, data]) => ({ type: 'file', path: `www/${name}`, data }) as const,
  );
  // An archive that is not compressed begins at a multiple of four.
  const padding = Buffer.alloc(-ramdisk.length & 3);
  const large = Buffer.concat([ramdisk, padding, writeCpio([{ type: 'directory', path: 'www' }, ...files])]);
  const kernel = loadKernel(readFileSync(vmlinuz));
  const host = await createHost({ memoryMiB: 640, clock: 'virtual' });
  const { capture, close } = captureFile(file, { clock: host.dom0.clock });
  const frames: Frame[][] = [[], []];
  const consoles = GUESTS.map(() => '');
  const guests = GUESTS.map(({ name, memoryMiB, macs }, i) =>
    host.createDomain({
      kernel,
      ramdisk: name === 'sender' ? large : ramdisk,
      name,
      cmdline: `console=hvc0 quiet role=${name}`,
      memoryMiB,
      vifs: macs.map((mac, network) => {
        const port = host.networks.bridge(`xenbr${network}`).addPort();
        if (name === 'sender') return { mac, port: watched(port, frames[network]!) };
        // What comes in by the second has to be cut and summed up for it.
        return { mac, port, capture, offloads: network === 0 };
      }),
      onConsole: (bytes) => {
        consoles[i] += Buffer.from(bytes).toString('latin1');
      },
    }),
  );
  for (const guest of guests) guest.unpause();
  await host.run();
  close();
  const results = await Promise.all(guests.map(({ ended }) => ended));
  return { consoles, reasons: results.map((result) => result.reason), frames };
}

/** Keeps the beginning of what is sent. */
const watched = (port: NetworkPort, frames: Frame[]): NetworkPort => ({
  connect: (receiver) => port.connect(receiver),
  send(frame) {
    frames.push({ ...frame, data: frame.data.slice(0, 80) });
    port.send(frame);
  },
});

describe.skipIf(pieces === undefined)(`two Debian guests on switches (${reason ?? 'found'})`, () => {
  let directory: string;
  let file: string;
  let result: Talk;
  const lines = (guest: number, word: string) =>
    consoleLines(result.consoles[guest]!)
      .filter((text) => text.startsWith(`${word} `))
      .map((text) => text.slice(word.length + 1).trim());
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'debian-network-'));
    file = join(directory, 'capture.pcapng');
    result = await talk(file);
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it('power off', () => expect(result.reasons, result.consoles.join('\n')).toEqual(['poweroff', 'poweroff']));

  it('have the addresses that they were given', () => {
    for (const [i, { macs }] of GUESTS.entries())
      expect([...lines(i, 'MAC0'), ...lines(i, 'MAC1')]).toEqual(macs);
  });

  it('ping each other over IPv4 and IPv6', () =>
    expect(lines(1, 'PING')).toEqual(
      new Array(2).fill('3 packets transmitted, 3 packets received, 0% packet loss'),
    ));

  it('move 64 MiB over TCP, unharmed, with offloads and without', () => {
    const large = [sum('large')];
    expect([lines(0, 'LARGE'), lines(1, 'ON4'), lines(1, 'OFF4')]).toEqual([large, large, large]);
    const small = [sum('small')];
    const names = ['ON6', 'CUT4', 'CUT6', 'OFF6'];
    expect(names.map((name) => lines(1, name))).toEqual(names.map(() => small));
    const counts = GUESTS.flatMap((_, i) => lines(i, 'COUNT'));
    expect(counts.length).toBe(16);
    expect(counts.filter((line) => !line.endsWith(' 0'))).toEqual([]);
  });

  it('have the offloads that their backend offers, until they turn them off', () => {
    const all = 'scatter-gather tcp-segmentation-offload tx-checksum-ipv6 tx-tcp6-segmentation';
    expect([lines(0, 'OFFLOADS0'), lines(0, 'OFFLOADS1'), lines(0, 'OFFLOADS1-OFF')]).toEqual([
      [all],
      [all],
      [''],
    ]);
    expect([lines(1, 'OFFLOADS0'), lines(1, 'OFFLOADS1')]).toEqual([[all], ['scatter-gather']]);
  });

  it('send large frames and blank checksums with offloads, and none without', () => {
    for (const frames of result.frames) {
      for (const protocol of ['tcp4', 'tcp6'])
        expect(
          frames.filter(({ segmentation }) => segmentation?.protocol === protocol).length,
        ).toBeGreaterThan(10);
    }
    const off = result.frames[1]!.filter((frame) => sourcePort(frame) === 81);
    expect(off.length).toBeGreaterThan(FILES.large.length / 1500);
    expect(off.filter(({ segmentation }) => segmentation).length).toBe(0);
    // Of IPv4 Linux leaves it blank always.
    expect(off.filter((frame) => isIpv6(frame) && frame.checksum === 'blank').length).toBe(0);
    expect(off.filter(isIpv6).length).toBeGreaterThan(FILES.small.length / 1500);
  });

  it.skipIf(!hasTshark)('and tshark finds nothing wrong with what the receiver saw', () => {
    const { frames, good, bad, malformed } = tsharkOpinion(file, [80, 81]);
    expect({ bad, malformed }).toEqual({ bad: 0, malformed: 0 });
    const segments = (2 * FILES.large.length + 4 * FILES.small.length) / 1448;
    expect(good).toBeGreaterThan(segments);
    expect(frames).toBeGreaterThanOrEqual(good);
  });
});
