import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { packet } from '../frame/testing.js';
import type { NetworkPort } from '../ports/network-port.js';
import { listenTo, outsideClock, until } from '../ports/testing.js';
import { connectStreamPort, type StreamAddress } from './stream-port.js';
import { freePort, WHO_HAS_GATEWAY } from './testing.js';

const QEMU = 'qemu-system-x86_64';
const isInstalled = spawnSync(QEMU, ['--version']).error === undefined;

/** QEMU without a machine: two stream sockets and its own network (10.0.2.2), all on one hub. */
describe.skipIf(!isInstalled)(`QEMU itself, where ${QEMU} is installed`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'qemu-'));
  const path = join(directory, 'net.sock');
  let qemu: ChildProcess;
  let ports: NetworkPort[] | undefined;

  beforeAll(async () => {
    const tcp = await freePort();
    const netdevs = [
      `stream,id=a,server=on,addr.type=unix,addr.path=${path}`,
      `stream,id=b,server=on,addr.type=inet,addr.host=127.0.0.1,addr.port=${tcp}`,
      'user,id=c,restrict=on',
      ...['a', 'b', 'c'].map((id) => `hubport,hubid=0,id=hub-${id},netdev=${id}`),
    ];
    qemu = spawn(
      QEMU,
      [
        '-machine',
        'none',
        '-display',
        'none',
        '-nodefaults',
        ...netdevs.flatMap((text) => ['-netdev', text]),
      ],
      { stdio: 'ignore' },
    );
    ports = [await reach({ path }), await reach({ host: '127.0.0.1', port: tcp })];
  });
  afterAll(() => {
    for (const port of ports ?? []) port.close!();
    qemu.kill();
    rmSync(directory, { recursive: true });
  });

  it('exchanges frames over both kinds of sockets, small and large', async () => {
    const [a, b] = ports as [NetworkPort, NetworkPort];
    const [fromA, fromB] = [listenTo(b), listenTo(a)];
    const large = packet({ payload: 60_000 });
    a.send({ data: packet() });
    b.send({ data: large });
    // QEMU's own network speaks, too.
    const has = (frames: Uint8Array[], frame: Uint8Array) =>
      frames.some((data) => !Buffer.compare(data, frame));
    await until(() => has(fromA, packet()) && has(fromB, large));
  });

  it('answers for the gateway of its own network', async () => {
    const [a] = ports as [NetworkPort];
    const got = listenTo(a);
    a.send({ data: WHO_HAS_GATEWAY });
    // ARP, a reply, of 10.0.2.2.
    const answer = '0806' + '0001080006040002' + '52550a000202' + '0a000202';
    await until(() => got.some((data) => Buffer.from(data).toString('hex', 12, 32) === answer));
  });
});

/** Connects as soon as somebody listens. */
async function reach(address: StreamAddress): Promise<NetworkPort> {
  let port: NetworkPort | undefined;
  await until(async () => {
    port = await connectStreamPort(address, { clock: outsideClock }).catch(() => undefined);
    return port !== undefined;
  });
  return port!;
}
