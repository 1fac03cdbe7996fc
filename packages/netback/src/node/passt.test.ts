import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Logger } from '@xenolith/host-interface';
import { describe, expect, it } from 'vitest';
import { writeChecksum, writeIpChecksum } from '../frame/checksum.js';
import { findHeaders } from '../frame/headers.js';
import { packet } from '../frame/testing.js';
import { listenTo, outsideClock, until } from '../ports/testing.js';
import { passtArguments, startPasst } from './passt.js';
import { answers, freePort, WHO_HAS_GATEWAY } from './testing.js';

const clock = outsideClock;
/** In CI it is there. */
const isInstalled = spawnSync('passt', ['--version']).error === undefined || process.env.CI === 'true';

describe('what passt is told', () => {
  const words = (options: object) => passtArguments({ clock, ...options }).join(' ');

  it('is to choose what the caller leaves open, and not to open the loopback', () => {
    expect(words({})).toBe('--quiet --fd 3 --tcp-ports none --udp-ports none --no-map-gw');
  });

  it('is what the caller wants', () => {
    const tcp = [
      { port: 8080, guestPort: 80 },
      { address: '0.0.0.0', port: 22 },
    ];
    const more = { address: '10.1.0.9/16', gateway: '10.1.0.1', dns: ['9.9.9.9', '::1'], mtu: 9000 };
    expect(words({ tcp, udp: [{ port: 53 }], loopback: true, ...more })).toBe(
      '--quiet --fd 3 --tcp-ports 127.0.0.1/8080:80 --tcp-ports 0.0.0.0/22:22 --udp-ports 127.0.0.1/53:53 ' +
        '--address 10.1.0.9 --netmask 16 --gateway 10.1.0.1 --dns 9.9.9.9 --dns ::1 --mtu 9000',
    );
  });

  it('is to stay on this machine', () => {
    expect(words({ restrict: true })).toBe(
      '--quiet --fd 3 --tcp-ports none --udp-ports none --address 10.0.2.15 --netmask 24 --gateway 10.0.2.2 ' +
        '--dns none --no-map-gw --ipv4-only --outbound 127.0.0.1 --interface lo --mac-addr 52:55:0a:00:02:02',
    );
  });
});

it('where passt is missing, the error tells what to install', async () => {
  const missing = startPasst({ clock, program: '/nowhere/passt' });
  await expect(missing).rejects.toThrow(
    '/nowhere/passt is not installed (Debian: apt install passt). It is for Linux; elsewhere start gvproxy or',
  );
});

describe.skipIf(!isInstalled)('passt itself (apt install passt)', () => {
  it('answers for the gateway, forwards ports, and ends with its port', async () => {
    const forwarded = await freePort();
    const port = await startPasst({ clock, restrict: true, tcp: [{ port: forwarded, guestPort: 80 }] });
    const got = listenTo(port);
    port.send({ data: WHO_HAS_GATEWAY });
    await until(() => got.length > 0);
    // It is at 52:55:0a:00:02:02, and it is 10.0.2.2.
    expect(Buffer.from(got[0]!).toString('hex', 0, 42)).toBe(
      '00163e000001' +
        '52550a000202' +
        '0806' +
        '0001080006040002' +
        '52550a000202' +
        '0a000202' +
        '00163e000001' +
        '0a00020f',
    );
    got.length = 0;
    expect(await answers(forwarded)).toBe(true);
    const isSynTo80 = (data: Uint8Array) =>
      data[12] === 8 && data[23] === 6 && data[37] === 80 && (data[47]! & 2) !== 0;
    await until(() => got.some(isSynTo80));
    port.close!();
    await until(async () => !(await answers(forwarded)));
  });

  it('forwards datagrams, and brings the answers back', async () => {
    const forwarded = await freePort();
    const udp = [{ port: forwarded, guestPort: 7 }];
    const port = await startPasst({ clock, restrict: true, loopback: true, udp });
    const got = listenTo(port);
    port.send({ data: WHO_HAS_GATEWAY });
    await until(() => got.length > 0);
    const answered: string[] = [];
    const socket = createSocket('udp4').on('message', (data) => answered.push(String(data)));
    socket.send('hello', forwarded, '127.0.0.1');
    const isDatagramTo7 = (data: Uint8Array) => data[12] === 8 && data[23] === 17 && data[37] === 7;
    await until(() => got.some(isDatagramTo7));
    port.send({ data: echoOf(got.find(isDatagramTo7)!) });
    await until(() => answered.length > 0);
    expect(answered).toEqual(['hello']);
    socket.close();
    port.close!();
  });

  it('lets nothing out of this machine, if it is restricted', async () => {
    const port = await startPasst({ clock, restrict: true });
    const got = listenTo(port);
    port.send({ data: WHO_HAS_GATEWAY });
    port.send({ data: synTo(198, 51, 100, 1) });
    // Where the connection could be tried, this would take longer, and not be a reset.
    await until(() => got.length > 1);
    expect([got[1]![26], got[1]![27], got[1]![47]]).toEqual([198, 51, RST]);
    port.close!();
  });

  it('says itself what it does not like', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    await expect(startPasst({ clock, restrict: true, tcp: [{ port }] })).rejects.toThrow(
      /^passt does not start: .*bind.*127\.0\.0\.1/,
    );
    taken.close();
    await expect(startPasst({ clock, mtu: 1 })).rejects.toThrow('Invalid MTU');
  });

  it('is missed when it ends before its port', async () => {
    const lines: string[] = [];
    const log: Logger = { log: (_level, _part, text) => void lines.push(text) };
    const forwarded = await freePort();
    await startPasst({ clock, log, restrict: true, tcp: [{ port: forwarded }] });
    process.kill(pidOf(`127.0.0.1/${forwarded}:`));
    await until(() => lines.length > 0);
    expect(lines).toEqual(['passt: the connection has ended; what the guest sends is lost from now on.']);
  });
});

/** The process that was started with such an argument. */
function pidOf(argument: string): number {
  const hasArgument = (pid: string): boolean => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(argument);
    } catch {
      return false;
    }
  };
  return Number(readdirSync('/proc').find((name) => /^\d+$/.test(name) && hasArgument(name)));
}

const SYN = 2;
const RST = 4;

/** The first packet of a connection from 10.0.2.15 to port 80 of such an address. */
function synTo(...address: number[]): Uint8Array {
  const data = packet({ payload: 0, flags: SYN });
  const headers = findHeaders(data)!;
  data.set([0x52, 0x55, 0x0a, 0, 2, 2], 0);
  data.set([10, 0, 2, 15, ...address], headers.ip + 12);
  data.set([0x30, 0x39, 0, 80], headers.transport);
  writeIpChecksum(data, headers);
  writeChecksum(data, headers);
  return data;
}

/** A datagram, sent back. Its checksums stay right: they are sums. */
function echoOf(data: Uint8Array): Uint8Array {
  const echo = data.slice();
  const exchange = (a: number, b: number, length: number) => {
    echo.set(data.subarray(a, a + length), b);
    echo.set(data.subarray(b, b + length), a);
  };
  const { ip, transport } = findHeaders(data)!;
  exchange(0, 6, 6);
  exchange(ip + 12, ip + 16, 4);
  exchange(transport, transport + 2, 2);
  return echo;
}
