import { readFileSync } from 'node:fs';
import { netKernel } from '@xenolith/guest-kernels';
import type { Frame, FrameReceiver, NetworkPort } from '@xenolith/netback';
import { describe, expect, it } from 'vitest';
import { TestHost } from '../src/testing.js';

/**
 * What the kernel `net` printed as a domU of 16 MiB under Debian 12's Xen
 * (xen-hypervisor-4.17-amd64 4.17.7+13-g2445b30a44-0+deb12u1, in QEMU's emulation of a PC), with Linux's own xen-netback in
 * domain 0: three pings of busybox there and two datagrams.
 */
const REAL = readFileSync(new URL('../fixtures/net.console.txt', import.meta.url), 'latin1');

const GUEST_MAC = [0, 0x16, 0x3e, 0, 0, 2];
const MAC = [0, 0x16, 0x3e, 0, 0, 1];
const [GUEST, OURS] = [
  [10, 0, 0, 2],
  [10, 0, 0, 1],
];
const u16 = (value: number) => [value >> 8, value & 0xff];
const ascii = (text: string) => [...text].map((c) => c.charCodeAt(0));

/** RFC 1071, over an even number of bytes; 0 if it is in `data` already and right. */
function internetChecksum(data: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < data.length; i += 2) sum += data[i]! * 256 + data[i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

const arpRequest = () => [
  ...new Array<number>(6).fill(255),
  ...MAC,
  ...[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
  ...MAC,
  ...OURS,
  ...new Array<number>(6).fill(0),
  ...GUEST,
];

function ip(protocol: number, body: readonly number[]): number[] {
  const header = (sum: number) => [
    0x45,
    0,
    ...u16(20 + body.length),
    0,
    1,
    0,
    0,
    64,
    protocol,
    ...u16(sum),
    ...OURS,
    ...GUEST,
  ];
  return [...GUEST_MAC, ...MAC, 8, 0, ...header(internetChecksum(header(0))), ...body];
}
function ping(number: number, bytes: number): number[] {
  const data = Array.from({ length: bytes }, (_, i) => i & 0xff);
  const message = (sum: number) => [8, 0, ...u16(sum), 0, 7, ...u16(number), ...data];
  return ip(1, message(internetChecksum(message(0))));
}
const udp = (port: number, data: readonly number[]) =>
  ip(17, [...u16(40000), ...u16(port), ...u16(8 + data.length), 0, 0, ...data]);

/** The other end of the guest's cable. */
class Peer implements NetworkPort {
  readonly got: Frame[] = [];
  private receiver: FrameReceiver | undefined;

  send(frame: Frame): void {
    this.got.push(frame);
  }
  connect(receiver: FrameReceiver | undefined): void {
    this.receiver = receiver;
  }
  get isUp(): boolean {
    return this.receiver !== undefined;
  }
  say(bytes: readonly number[]): void {
    this.receiver!({ data: Uint8Array.from(bytes) });
  }
}

async function setUp() {
  const test = await TestHost.create();
  const peer = new Peer();
  const mac = '00:16:3e:00:00:02';
  const guest = test.boot(netKernel, { vifs: [{ mac, port: peer }], cmdline: 'ip=10.0.0.2' });
  await test.until(() => guest.output.includes('is 10.0.0.2') && peer.isUp);
  /** Says something to the guest. @returns the bytes of its answer */
  const ask = async (bytes: readonly number[]) => {
    const before = peer.got.length;
    peer.say(bytes);
    await test.until(() => peer.got.length > before);
    expect(peer.got.length).toBe(before + 1);
    return [...peer.got[before]!.data];
  };
  return { test, peer, guest, ask };
}

describe('a guest with a small front end', () => {
  it('answers ARP, pings of any size, and datagrams', async () => {
    const { guest, ask } = await setUp();
    const arp = await ask(arpRequest());
    expect(arp.slice(0, 42)).toEqual([
      ...MAC,
      ...GUEST_MAC,
      8,
      6,
      0,
      1,
      8,
      0,
      6,
      4,
      0,
      2,
      ...GUEST_MAC,
      ...GUEST,
      ...MAC,
      ...OURS,
    ]);
    for (const bytes of [0, 56, 1400]) {
      const sent = ping(bytes, bytes);
      const pong = (await ask(sent)).slice(0, sent.length);
      expect(pong.slice(0, 12)).toEqual([...MAC, ...GUEST_MAC]);
      expect([internetChecksum(pong.slice(14, 34)), internetChecksum(pong.slice(34)), pong[34]]).toEqual([
        0, 0, 0,
      ]);
      expect(pong.slice(38)).toEqual(sent.slice(38));
    }
    const sent = udp(7, ascii('hello'));
    expect((await ask(sent)).slice(34, sent.length)).toEqual([
      ...u16(7),
      ...u16(40000),
      ...u16(13),
      0,
      0,
      ...ascii('hello'),
    ]);
    guest.guest.destroy();
  });

  it('prints what it printed under real Xen, before Linux’s netback and pings of busybox', async () => {
    const { test, guest, ask } = await setUp();
    await ask(arpRequest());
    for (const number of [0, 1, 2]) await ask(ping(number, 56));
    await ask(udp(7, ascii('hello')));
    await ask(udp(7, ascii('quit')));
    await test.host.run();
    expect((await guest.guest.ended).reason).toBe('poweroff');
    expect(guest.output.split('\r\n')).toEqual(REAL.split(/\r?\n/));
  });

  it('does not answer what is broken or not for it', async () => {
    const { peer, guest, ask } = await setUp();
    const broken = ping(1, 8);
    broken[40]! ^= 1;
    const foreign = arpRequest();
    foreign[41] = 3;
    for (const bytes of [broken, foreign, udp(9, [1, 2]), ping(1, 8).slice(0, 40), [1, 2, 3]])
      peer.say(bytes);
    // In order: when this is answered, the others have been seen.
    await ask(ping(2, 2));
    expect(guest.output).not.toContain('number 1');
    guest.guest.destroy();
  });

  it('survives a thousand pings: its pages and grants come back', async () => {
    const { peer, guest, ask, test } = await setUp();
    // In bursts of more than it has pages for: the others wait in the backend.
    for (let sent = 0; sent < 1000; ) {
      for (const end = sent + 50; sent < end; sent++) peer.say(ping(sent, 100));
      await test.until(() => peer.got.length === sent);
    }
    await ask(ping(1000, 100));
    expect(guest.output).toContain('number 1000\r\n');
    guest.guest.destroy();
  });

  it('says when its interface is unplugged, and lets go of it', async () => {
    const { test, guest } = await setUp();
    const gone = guest.guest.vifs.detach(0);
    await test.host.run();
    await gone;
    expect((await guest.guest.ended).reason).toBe('poweroff');
    expect(guest.output).toMatch(/net: over\r\n$/);
  });
});

it('two of them ping each other over a switch, and leave nothing behind', async () => {
  const test = await TestHost.create();
  const before = test.counts();
  const two = test.boot(netKernel, { vifs: [{}], cmdline: 'ip=10.0.0.2 ping=10.0.0.1 quit' });
  await test.until(() => two.output.includes('is 10.0.0.2'));
  // It asks again for an address that is not there yet.
  const one = test.boot(netKernel, { vifs: [{}], cmdline: 'ip=10.0.0.1' });
  await test.host.run();
  expect(two.output.match(/pong: 56 bytes from 10\.0\.0\.1, number \d/g)).toHaveLength(4);
  expect(one.output.match(/ping: 56 bytes from 10\.0\.0\.2, number \d/g)).toHaveLength(4);
  for (const { guest } of [one, two]) expect((await guest.ended).reason).toBe('poweroff');
  for (let i = 0; i < 50; i++) await new Promise(setImmediate);
  // The first domain of a host leaves the directories of all.
  expect({ ...test.counts(), nodes: 0 }).toEqual({ ...before, nodes: 0 });
});
